--- Mail that belongs to an event of a tenant's life: a row of core.mail_outbox, written in the event's transaction and sent afterwards.
---
--- By itself a message is handed to a server once: `sending` is committed before the first byte goes out, and whoever finds it there, its
--- sender gone, can only say that the outcome is unknown. What the server has certainly not taken goes back to `pending`. A sender holds
--- an advisory lock of a transaction (which a pooler keeps too) on a connection of its own, so that it is known to be alive.
local errors = require "errors"
local lifecycle = require "lifecycle"

local outbox = {}

--- Failures of an operation that sends mail; `own` is added to them.
---@param own table<string, gate.Failure>
---@return table<string, gate.Failure>
function outbox.failures(own)
  local out = {
    outbox_missing = { text = "The platform keeps no mail: %s is not there",
      fix = "Create it as stdlib/platform/migrations/010_outbox.sql does" },
    mail_unknown = { text = "It is not known whether the welcome mail to %s arrived",
      fix = "Ask the tenant. It came: go_live --arrived. It did not: go_live --resend, which sends it with the same Message-ID" },
    mail_key_dead = { text = "The key that is sealed in the welcome mail to %s works no more",
      fix = "Tell the tenant in another way how to fetch its key. A new mail is written by a new go-live: suspend, suspend --resume, "
        .. "validate, go_live --seal-to CERTIFICATE" },
    mail_busy = { text = "The welcome mail to %s is being sent by another run", fix = "Wait for that one, then run this again" },
  }
  for class, failure in pairs(own) do out[class] = failure end
  return out
end

--- Refuses where the platform has no outbox.
---@param ctx operation.Context
function outbox.demand(ctx)
  if not ctx.db.operator:value "select to_regclass('core.mail_outbox')::text" then
    ctx:refuse("outbox_missing", { object = "core.mail_outbox" })
  end
end

--- Writes a message, inside the transaction of its event (lifecycle.as_tenant).
---@param tx gate.db.connection
---@param tenant_id string
---@param event_id string
---@param mail {message_id: string, to: string[], message: string}
function outbox.add(tx, tenant_id, event_id, mail)
  tx:exec([[insert into core.mail_outbox (tenant_id, event_id, message_id, recipients, message)
    values ($1::uuid, $2::bigint, $3, string_to_array($4, ' '), $5)]], tenant_id, event_id, mail.message_id, table.concat(mail.to, " "),
    mail.message)
end

--- The message of an event, or nil.
---@param db gate.db.connection
---@param tenant_id string
---@param event_id string
---@return {id: integer, state: string, message_id: string, to: string, message: string, outcome: string?, changed: string}?
function outbox.of(db, tenant_id, event_id)
  return lifecycle.as_tenant(db, tenant_id, function(tx)
    return tx:row([[select id, state, message_id, array_to_string(recipients, ' ') as "to", message, outcome,
      to_char(changed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as changed
      from core.mail_outbox where event_id = $1::bigint]], event_id)
  end)
end

--- Takes a step of the message's state; false where it was not in `from` any more.
local function move(db, tenant_id, id, from, to, outcome)
  return lifecycle.as_tenant(db, tenant_id, function(tx)
    return tx:value([[update core.mail_outbox set state = $4, outcome = $5, attempts = attempts + case when $4 = 'sending' then 1 else 0 end
      where id = $1 and state = any (string_to_array($3, ' ')) and tenant_id::text = $2 returning id]],
      id, tenant_id, from, to, outcome) ~= nil
  end)
end

local function recipients_of(mail)
  local list = {}
  for address in mail.to:gmatch "%S+" do list[#list + 1] = address end
  return list
end

--- Hands it to the server, the state `sending` being committed before.
local function hand_over(ctx, db, tenant_id, mail, from)
  if not move(db, tenant_id, mail.id, from, "sending") then ctx:refuse("mail_busy", { object = ctx.tenant.code }) end
  local ok, result = pcall(ctx.mail.send, ctx.mail, { to = recipients_of(mail), message = mail.message })
  if not ok then
    -- An error with a code says that it was not accepted. What has none (Lua ran out of memory) may have come after the server's reply; and
    -- a message that may have arrived before stays unknown, whatever became of this attempt, and one that was sent stays sent.
    local certain = errors.is(result)
    if certain and from == "sent" then
      move(db, tenant_id, mail.id, "sending", "sent", mail.outcome)
    else
      move(db, tenant_id, mail.id, "sending", certain and from == "pending" and "pending" or "unknown",
        certain and result.code or "an error that is none of the mail's ended the attempt")
    end
    error(result, 0)
  end
  move(db, tenant_id, mail.id, "sending unknown", result.outcome, result.detail)
  if result.outcome == "unknown" then
    ctx:refuse("mail_unknown", { object = ctx.tenant.code, detail = ("%s; Message-ID %s"):format(result.detail, mail.message_id) })
  end
end

--- Runs fn while this run alone may send the message; nil where another one is at it.
local function alone(ctx, id, fn)
  local second <close> = ctx.db:open "operator"
  return second:transaction(function(tx)
    if not tx:value("select pg_try_advisory_xact_lock(hashtextextended('core.mail_outbox', $1))", id) then
      ctx:refuse("mail_busy", { object = ctx.tenant.code })
    end
    return fn()
  end)
end

--- Refuses to send a sealed key that another one has replaced since.
local function refuse_dead_key(ctx, tenant_id, event_id, mail)
  if not mail.message:find("name=api-key.p7m", 1, true) then return end
  local rotated = lifecycle.as_tenant(ctx.db.operator, tenant_id, function(tx)
    return tx:row([[select request, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at from core.tenant_events
      where tenant_id::text = $1 and event = 'key_rotated' and id > $2::bigint order by id desc limit 1]], tenant_id, event_id)
  end)
  if rotated then
    ctx:refuse("mail_key_dead", { object = ctx.tenant.code,
      detail = ("rotate_key, request %s, replaced it at %s; Message-ID %s"):format(rotated.request, rotated.at, mail.message_id) })
  end
end

--- Does what is left to do about an event's message.
---@param ctx operation.Context
---@param tenant_id string
---@param event_id string
---@return "sent"|"none"|"done" state  sent: it was, before; none: the event has no message; done: a step did it
function outbox.settle(ctx, tenant_id, event_id)
  local db = ctx.db.operator
  local mail = outbox.of(db, tenant_id, event_id)
  if not mail then return "none" end
  local wanted = ctx.options.resend and (mail.state == "unknown" or mail.state == "sent" or mail.state == "sending")
  if mail.state == "sent" and not wanted then return "sent" end
  if ctx.options.arrived and mail.state == "unknown" then
    ctx:step(("Put down that the welcome mail to %s arrived"):format(ctx.tenant.code), function()
      move(db, tenant_id, mail.id, "unknown", "sent", "arrived, as the operator says")
    end)
    return "done"
  end
  if not ctx.mail and (mail.state == "pending" or wanted) then
    errors.raise { code = "config_missing_key", message = "the welcome mail waits to be sent, and the configuration has no mail",
      fix = "add mail to gate-engine.conf.lua" }
  end
  if mail.state == "pending" or wanted then refuse_dead_key(ctx, tenant_id, event_id, mail) end
  local title = mail.state == "pending" and "Send the welcome mail to %s" or wanted and "Send the welcome mail to %s again"
    or "Find out what became of the welcome mail to %s"
  local function look()
    local now = outbox.of(db, tenant_id, event_id)
    if now.state == "sending" then -- its sender holds no lock any more
      move(db, tenant_id, now.id, "sending", "unknown", "the run that sent it was ended before the server's reply")
      now = outbox.of(db, tenant_id, event_id)
    end
    if now.state == "unknown" and not ctx.options.resend then
      ctx:refuse("mail_unknown", { object = ctx.tenant.code,
        detail = ("%s; since %s; Message-ID %s"):format(now.outcome, now.changed, now.message_id) })
    end
    if now.state ~= "sent" or ctx.options.resend then hand_over(ctx, db, tenant_id, now, now.state) end
  end
  ctx:step(title:format(ctx.tenant.code), function() alone(ctx, mail.id, look) end)
  return "done"
end

return outbox
