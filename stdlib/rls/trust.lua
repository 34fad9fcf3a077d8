--- What the configuration's trust says of functions with their owner's rights.
--
-- An entry names a routine by its signature and pins what it is: the SHA-256 of its declaration and text, and of the functions that its
-- text leads to. Who changes one of them has to ask for trust again. It covers what the routine reaches, decided or not; it does not cover
-- names that the caller may put others in place of, since then the text that somebody read is not what runs (CREATE FUNCTION, "Writing
-- SECURITY DEFINER Functions Safely").
local decide = require "rls.decide"
local hash = require "hash"
local mentions = require "rls.mentions"

local trust = {}

--- For how many months an entry is proposed.
local MONTHS = 3

--- One signature, however its list of types is spaced.
local function normal(signature) return (signature:gsub("%s*,%s*", ", ")) end

local function led_to(f, read, out)
  if out[f] then return out end
  out[f] = true
  local text = (f.body or ""):lower()
  for _, other in ipairs(read.all_functions) do
    if mentions.call(text, other.name:match "[^.]*$") then led_to(other, read, out) end
  end
  return out
end

--- What is pinned of one function, in parts none of which runs into the next.
local function declared(f)
  local parts = { f.signature, f.kind, f.language, tostring(f.security_definer), f.owner, tostring(f.returns_type), tostring(f.returns_set),
    tostring(f.strict), f.volatility, table.concat(f.arg_names or {}, "\0"), table.concat(f.config or {}, "\0"), f.body or "" }
  for i, part in ipairs(parts) do parts[i] = ("%d:%s"):format(#part, part) end
  return table.concat(parts)
end

--- The hash of what a function is, itself and by what it calls.
---@param f table         of rls.Model.all_functions
---@param read rls.Model
---@return string  64 hexadecimal digits
function trust.definition(f, read)
  local parts = {}
  for one in pairs(led_to(f, read, {})) do
    parts[#parts + 1] = (one == f and "0" or "1") .. declared(one)
  end
  table.sort(parts)
  return hash.sha256(table.concat(parts, "\0"))
end

--- The entry that trusts a function as it is, to paste into the configuration.
---@param f table  of rls.Model.all_functions
---@param read rls.Model
---@param today string  an ISO date
---@return string
function trust.entry(f, read, today)
  local year, month, day = today:match "^(%d+)-(%d+)-(%d+)$"
  local months = year * 12 + month - 1 + MONTHS
  local expires = ("%04d-%02d-%02d"):format(months // 12, months % 12 + 1, math.min(tonumber(day), 28))
  return ("{ routine = %q, definition = %q, reason = \"why it may\", approver = \"who decided it\", expires = %q }"):format(
    normal(f.signature), trust.definition(f, read), expires)
end

--- Does a function's text mean what it says, whoever calls it? Its path is its own and pg_temp the last of it, or nobody can put anything
--- in the way.
local function is_pinned(f, roles)
  local creates, temp = false, false
  for _, role in ipairs(roles) do
    creates, temp = creates or role.may_create ~= false, temp or role.may_temp ~= false
  end
  if f.parsed or not (creates or temp) then return true end
  for _, item in ipairs(f.config or {}) do
    local path = item:match "^search_path=(.*)$"
    if path then return not temp or path:match "([^,%s\"]+)\"?%s*$" == "pg_temp" end
  end
  return false
end

--- The entry that names a function and has not expired.
local function entry_of(seen, f)
  for _, entry in ipairs(seen.trust or {}) do
    local over = entry.expires and seen.today and entry.expires < seen.today
    if entry.routine and not over and normal(entry.routine) == normal(f.signature) then return entry end
  end
  return nil
end

--- Why an entry does not count although it names the function; nil where it does.
local function refused(seen, f, entry)
  local definition = trust.definition(f, seen.model)
  if entry.definition ~= definition then
    return ("what was trusted is another text: its definition is %s now, and the entry has %s"):format(definition, entry.definition), true
  end
  if not is_pinned(f, seen.model.roles) then
    return "its entry in trust does not count as long as names in it are looked up along the caller's search path: ALTER FUNCTION … SET "
      .. "search_path = …, pg_temp"
  end
  return nil
end

--- Says of findings and undecided functions what the configuration's trust covers, and of the others how to have them covered.
---@param seen table  of rls.harness.look, with `model`, `today` and `covers`; changed: gets texts by entry that names another text
---@param found table[]      findings of rls.rules.definers: those that are covered become advisories, the others get a fix
---@param undecided table[]  what nobody could decide
---@param fix string         the fix of a function that shows rows of another tenant
---@return table[] undecided  that nothing covers
function trust.cover(seen, found, undecided, fix)
  local by_signature, left = {}, {}
  for _, f in ipairs(seen.model.all_functions) do by_signature[f.signature] = f end
  seen.covers, seen.changed = seen.covers or {}, seen.changed or {}
  --- The entry that covers it, or nil and why not.
  local function covering(f)
    local entry = entry_of(seen, f)
    if not entry then return nil end
    decide.cover(seen.covers, { covers = { [entry] = true } }, f.signature)
    local why, changed = refused(seen, f, entry)
    if changed then seen.changed[entry] = why end
    return not why and entry or nil, why
  end
  local function proposed(f)
    return ("where this is what it is for, the configuration may say so: trust = { %s }"):format(trust.entry(f, seen.model, seen.today))
  end
  for _, one in ipairs(found) do
    local f = one.class == "function_definer" and not one.advisory and by_signature[one.object]
    local entry, why
    if f then entry, why = covering(f) end
    if entry then
      one.class, one.advisory, one.detail = "policy_trusted", true, ("%s; trusted: %s"):format(one.detail, entry.reason)
    elseif f then
      one.detail = why and ("%s; %s"):format(one.detail, why) or one.detail
      one.fix = ("%s; %s"):format(fix, proposed(f))
    end
  end
  for _, one in ipairs(undecided) do
    local entry, why = covering(one.f)
    if entry then
      local detail = "it runs with the rights of %s, whom row-level security does not bind; what it reaches is undecided: %s; trusted: %s"
      found[#found + 1] = { class = "policy_trusted", object = one.object, advisory = true,
        detail = detail:format(one.owner, one.reason, entry.reason), reproduce = "\\sf " .. one.object:match "^(.-)%(" }
    else
      one.reason = why and ("%s; %s"):format(one.reason, why) or one.reason
      one.proposed = proposed(one.f)
      left[#left + 1] = one
    end
  end
  return left
end

return trust
