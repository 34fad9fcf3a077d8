--- The mail that tells a tenant it is live: what it says, and the invitation to the onboarding call in it. No key in clear is ever in it.
local hash = require "hash"
local icalendar = require "icalendar"
local mime = require "mime"

local welcome = {}

--- Of the options of an operation that welcomes.
welcome.OPTIONS = {
  contact      = { type = "string", help = "who gets the welcome mail, instead of the contact that create_tenant was given" },
  call         = { type = "string", help = "when the onboarding call begins: 2027-01-31T10:00:00Z, or with an offset" },
  call_minutes = { type = "integer", default = 30, min = 5, max = 480, help = "how long it takes" },
  call_place   = { type = "string", help = "where: a link, a number, a room" },
  seal_to      = { type = "path", help = "the tenant's certificate (PEM): a new key is sealed to it and sent along" },
  resend       = { type = "boolean", default = false, help = "send the welcome mail again, with its Message-ID" },
  arrived      = { type = "boolean", default = false, help = "a mail whose outcome was unknown has arrived" },
}

welcome.FAILURES = {
  welcome_written = { text = "The welcome of tenant %s was written when it went live, and is not what is asked for now",
    fix = "Leave the option out: what was written stays. Tell the tenant in another way, or let it go live anew: suspend, "
      .. "suspend --resume, validate, go_live" },
  contact_missing = { text = "Nobody is known who welcomes tenant %s: there is no address",
    fix = "Give it with --contact, or to create_tenant" },
  contact_wrong = { text = "%s is no address that mail can be sent to", fix = "Give it as someone@example.org" },
  call_missing = { text = "No onboarding call is agreed with tenant %s", fix = "Give its time with --call 2027-01-31T10:00:00Z" },
  call_wrong = { text = "%s is no time for an onboarding call", fix = "Give it as 2027-01-31T10:00:00Z, in the future" },
}

--- What a welcome is made of, as it was asked for: an activation's event keeps it, so that the same said again is nothing new.
---@param ctx operation.Context
---@return table<string, string|integer>
function welcome.asked(ctx)
  local options = ctx.options
  return { contact = options.contact, call = options.call, call_minutes = options.call_minutes, call_place = options.call_place,
    seal_to = options.seal_to and hash.sha256(ctx.files.seal_to:get(nil)) or nil }
end

--- Refuses what is asked for of a tenant that is live already, where its welcome was another.
---@param ctx operation.Context
---@param before table?  what asked() gave when it went live; nil: nobody knows
function welcome.refuse_other(ctx, before)
  local now = welcome.asked(ctx)
  if now.call_minutes == welcome.OPTIONS.call_minutes.default then now.call_minutes = nil end -- it may not have been given
  for _, name in ipairs { "contact", "call", "call_minutes", "call_place", "seal_to" } do
    local was = before and before[name]
    if now[name] ~= nil and now[name] ~= was then
      local then_was = name ~= "seal_to" and was and "it was " .. tostring(was) or was and "it was another certificate" or "there was none"
      ctx:refuse("welcome_written", { object = ctx.tenant.code, detail = ("--%s: %s"):format(name:gsub("_", "-"), then_was) })
    end
  end
end

local CALL = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d[Zz+-][%d:]*$"

--- When the call is, by the database's calendar; refuses what is no time, or over.
local function call_of(ctx, tx)
  local call = ctx.options.call
  if not call then ctx:refuse("call_missing", { object = ctx.tenant.code }) end
  local ok, row = pcall(tx.row, tx, [[select t > now() as later, to_char(t at time zone 'utc', 'YYYYMMDD"T"HH24MISS"Z"') as start,
    to_char((t + make_interval(mins => $2)) at time zone 'utc', 'YYYYMMDD"T"HH24MISS"Z"') as stop,
    to_char(t at time zone 'utc', 'FMDay, FMDD FMMonth YYYY, HH24:MI "UTC"') as words
    from (select $1::text::timestamptz as t) x]], call, ctx.options.call_minutes)
  if not ok and not tostring(row.sqlstate):find "^22" then error(row, 0) end
  if not (call:find(CALL) and ok and row.later) then ctx:refuse("call_wrong", { object = call, detail = ok and "it is over" or nil }) end
  return row
end

local function contact_of(ctx, row)
  local contact = ctx.options.contact or row.settings.contact
  if not contact then ctx:refuse("contact_missing", { object = ctx.tenant.code }) end
  if type(contact) ~= "string" or not mime.is_address(contact) then ctx:refuse("contact_wrong", { object = tostring(contact) }) end
  return contact
end

--- What a welcome needs, found out before anything is changed.
---@param ctx operation.Context
---@param row {name: string, settings: table}
---@return {contact: string, call: table, certificate: string?}
function welcome.prepare(ctx, row)
  local certificate = ctx.options.seal_to and ctx.files.seal_to:get(nil) or nil
  if certificate then ctx.mail:seal(certificate, "tried") end
  return { contact = contact_of(ctx, row), call = call_of(ctx, ctx.db.operator), certificate = certificate }
end

local function key_words(ctx, sealed)
  if sealed then
    return "Your API key is attached, sealed to the certificate you gave us; one you had before works no more. It opens with\n\n"
      .. "    openssl cms -decrypt -inform DER -in api-key.p7m -inkey YOUR.key"
  end
  return "Your API key is not in this mail: we send none in clear. How to fetch it: "
    .. (ctx.mail.fetch or ("ask " .. ctx.mail.from .. ", who hands it over in person."))
end

--- The mail, inside the transaction that makes the tenant active: where a certificate was given, a new key is issued in it too.
---@param ctx operation.Context
---@param tx gate.db.connection
---@param row {name: string}
---@param plan table  of prepare
---@return {message_id: string, to: string[], message: string}
function welcome.write(ctx, tx, row, plan)
  local code, call, id = ctx.tenant.code, plan.call, hash.hex(hash.random(16))
  local now = tx:row [[select to_char(now() at time zone 'utc', 'Dy, DD Mon YYYY HH24:MI:SS "+0000"') as date,
    to_char(now() at time zone 'utc', 'YYYYMMDD"T"HH24MISS"Z"') as stamp]]
  local domain = ctx.mail.from:match "@(.*)$"
  local to = { plan.contact }
  for _, address in ipairs(ctx.mail.to) do
    if address ~= plan.contact then to[#to + 1] = address end
  end
  local place = ctx.options.call_place
  local attachments = {}
  if plan.certificate then
    attachments[1] = { type = "application/pkcs7-mime; smime-type=authEnveloped-data; name=api-key.p7m", file = "api-key.p7m",
      bytes = ctx.mail:seal(plan.certificate, tx:value("select platform.issue_api_key($1)", code)) }
  end
  local words = ("Welcome, %s.\r\n\r\nYour tenant %s is active.\r\n\r\n%s\r\n\r\nThe onboarding call: %s, %d minutes%s. "
    .. "The invitation is in this mail.\r\n"):format(row.name, code, key_words(ctx, plan.certificate ~= nil):gsub("\n", "\r\n"),
    call.words, ctx.options.call_minutes, place and ", " .. place or "")
  local calendar = icalendar.request { uid = id .. "@" .. domain, stamp = now.stamp, start = call.start, stop = call.stop,
    summary = "Onboarding call: " .. row.name, description = "Onboarding of tenant " .. code, location = place,
    organizer = ctx.mail.from, attendees = to }
  local message_id = ("<%s@%s>"):format(id, domain)
  return { message_id = message_id, to = to, message = mime.message(
    { from = ctx.mail.from, to = to, subject = row.name .. " is live", date = now.date, message_id = message_id },
    { { type = "text/plain; charset=utf-8", bytes = words }, { type = "text/calendar; charset=utf-8; method=REQUEST", bytes = calendar } },
    attachments) }
end

return welcome
