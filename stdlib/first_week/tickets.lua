--- A tenant's support tickets, from where the configuration says they are: a CSV file, or an endpoint that answers JSON.
local csv = require "csv"
local errors = require "errors"
local json = require "json"

local tickets = {}

-- What others call the four severities (domain: S1 down or data leaked, S2 serious, S3 blocks one tenant's go-live, S4 minor).
local SEVERITY = { s1 = "S1", s2 = "S2", s3 = "S3", s4 = "S4", p1 = "S1", p2 = "S2", p3 = "S3", p4 = "S4", ["1"] = "S1", ["2"] = "S2",
  ["3"] = "S3", ["4"] = "S4", critical = "S1", blocker = "S1", urgent = "S1", high = "S2", major = "S2", medium = "S3", normal = "S3",
  low = "S4", minor = "S4", trivial = "S4" }
local CLOSED = { closed = true, resolved = true, done = true, solved = true }

local function wrong(where, what)
  errors.raise { code = "tickets_invalid", message = ("tickets: %s: %s"):format(where, what),
    fix = "each ticket has id, severity, status and title; of a file with all tenants' tickets, tenant too" }
end

local function text(value)
  if type(value) == "string" or type(value) == "number" then return tostring(value) end
end

--- A ticket as it came, with the severity of the escalation table. One of a severity nobody knows counts as S2, and says so.
local function read(raw, where)
  local id, title = text(raw.id), text(raw.title) or ""
  local severity, status = text(raw.severity), text(raw.status)
  if not id or id == "" then wrong(where, "a ticket without id") end
  if not severity or not status then wrong(where, ("ticket %s has no %s"):format(id, severity and "status" or "severity")) end
  local known = SEVERITY[severity:lower()]
  return { id = id, title = title, severity = known or "S2", called = severity, unknown = not known, status = status,
    opened = text(raw.opened), open = not CLOSED[status:lower()] }
end

--- Whose a ticket is, as it is written there: with blanks around it or in capitals it is the same tenant's.
local function owner_of(value) return (text(value) or ""):match "^%s*(.-)%s*$":lower() end

local function from_file(ctx)
  local rows, names = csv.parse((ctx.store.tickets:get(nil)))
  for _, name in ipairs { "tenant", "id", "severity", "status" } do
    local there = false
    for _, have in ipairs(names) do there = there or have == name end
    if not there then wrong("line 1", "there is no column " .. name) end
  end
  local out = {}
  for _, row in ipairs(rows) do
    local where, owner = "line " .. row.line, owner_of(row.tenant)
    -- One that nobody says whose it is may be this tenant's.
    if owner == "" then wrong(where, ("ticket %s names no tenant"):format(text(row.id) or "")) end
    if owner == ctx.tenant.code:lower() then out[#out + 1] = read(row, where) end
  end
  return out
end

local function from_endpoint(ctx, where)
  local answer = ctx.http:request { endpoint = where.endpoint, path = where.path or "/tickets", query = { tenant = ctx.tenant.code,
    project = where.project }, timeout = 20, retries = 2 }
  if answer.status ~= 200 then wrong("endpoint " .. where.endpoint, ("it answers %d"):format(answer.status)) end
  local document = json.decode(answer.body)
  local list = type(document) == "table" and (document.tickets or document) or nil
  if type(list) ~= "table" or (next(list) ~= nil and #list == 0) then wrong("endpoint " .. where.endpoint, "the answer is no list") end
  local out, others = {}, 0
  for i, raw in ipairs(list) do
    if type(raw) ~= "table" then wrong(("entry %d"):format(i), "it is no object") end
    -- An adapter that ignores the question must not lend this tenant another's tickets. One without a tenant is of the one asked for.
    local owner = owner_of(raw.tenant)
    if owner == "" or owner == ctx.tenant.code:lower() then
      out[#out + 1] = read(raw, ("entry %d"):format(i))
    else
      others = others + 1
    end
  end
  return out, others
end

--- The tenant's tickets, the gravest first.
---@param ctx gate.Context  needs endpoints = true, stores = {"tickets"}
---@return table[] list  {id, title, severity "S1".."S4", called, unknown, status, open, opened?}
---@return integer others  tickets of other tenants that an endpoint answered when it was asked for this one's
---Errors: tickets_invalid, csv_invalid, those of http and store.
function tickets.list(ctx)
  local where = ctx.config.tickets
  local out, others
  if where.file then out, others = from_file(ctx), 0 else out, others = from_endpoint(ctx, where) end
  table.sort(out, function(a, b)
    if a.open ~= b.open then return a.open end
    if a.severity ~= b.severity then return a.severity < b.severity end
    return a.id < b.id
  end)
  return out, others
end

return tickets
