--- SECURITY DEFINER functions that the application may call and whose owner row-level security does not bind: what their text reaches.
--
-- A function's statements are read with libpg_query (rls.prover.statements) and decided like policies, with the arguments at the caller's
-- choice. What was not understood is undecided, unless neither the function nor what it calls names a tenants' table. PostgreSQL
-- manual: CREATE FUNCTION, 5.8.
local builtins = require "rls.prover.builtins"
local calling = require "rls.rules.calling"
local decide = require "rls.decide"
local firing = require "rls.rules.firing"
local leads = require "rls.leads"
local of_triggers = require "rls.rules.fired"
local mentions = require "rls.mentions"
local model = require "rls.model"
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"
local rights = require "rls.rules.rights"

local definers = {}

--- Functions that the application may call, with somebody's rights.
local function callable(read)
  local out = {}
  for _, f in ipairs(read.all_functions) do
    local event = f.returns == "trigger" or f.returns == "event_trigger"
    if f.security_definer and f.callable and not event and not f.of_extension then out[#out + 1] = f end
  end
  return out
end

--- Does the text name one of the tables, itself or by what it calls? What is not SQL may.
local function may_touch(f, read, tables, seen)
  seen = seen or {}
  if seen[f] then return false end
  seen[f] = true
  if f.language ~= "sql" and f.language ~= "plpgsql" then return true end
  local text = (f.body or ""):lower()
  if f.language == "plpgsql" and text:find "%f[%w]execute%f[%W]" then return true end
  if builtins.named_in(text, read.leads) then return true end
  for _, t in ipairs(tables) do
    if mentions.name(text, t.name) then return true end
  end
  for _, other in ipairs(leads.of(f, read)) do
    if may_touch(other, read, tables, seen) then return true end
  end
  return false
end

--- Does a function with its owner's rights that the application may call name a table?
---@param seen table  of rls.harness.look, with `model` where it was read
---@param t rls.Table
---@return boolean
function definers.shows(seen, t)
  for _, f in ipairs(seen.model and callable(seen.model) or {}) do
    if may_touch(f, seen.model, { t }) then return true end
  end
  return false
end

--- The owners with whose rights a call acts: its own, and those of the functions with their owner's rights that its text leads to.
local function owners_of(f, read, out, seen)
  out, seen = out or {}, seen or {}
  if seen[f] then return out end
  seen[f] = true
  if f.security_definer then out[f.owner] = true end
  for _, other in ipairs(leads.of(f, read)) do owners_of(other, read, out, seen) end
  return out
end

--- The tenants' tables of which a function reaches rows that the application's rights would not.
local function open_tables(f, state)
  f.owners = f.owners or owners_of(f, state.read)
  local tables = {}
  for _, t in ipairs(state.base) do
    if state.is_open(f, t) then tables[#tables + 1] = t end
  end
  return tables
end

local function words(text) return (text:gsub("\1argument%.", "argument ")) end

--- Does it call the other, itself or by a function that it calls?
local function calls(f, name, read, seen)
  if seen[f] then return false end
  seen[f] = true
  local text = (f.body or ""):lower()
  if mentions.call(text, name:match "[^.]*$") then return true end
  for _, other in ipairs(leads.of(f, read)) do
    if calls(other, name, read, seen) then return true end
  end
  return false
end

--- What one function is decided to be: {leak = text, verdict, shadow} or {unknown = reason} or {oracle = reason} or {}, and `trusted`,
--- what the configuration's trust says of it.
---@param fired {event: string, label: string, counts: fun(r: table): boolean}?  of a trigger's function; counts: does it matter what
---  the function does there?
local function judge(f, state, fired)
  local open, known = open_tables(f, state), {}
  local _, raising = leads.raising(state.read)
  local function touches(other)
    if known[other] == nil then known[other] = may_touch(other, state.read, open) end
    return known[other]
  end
  local function ask(shadows)
    local input = { tables = state.read.tables, functions = state.read.functions, types = state.read.types, role = state.role,
      presets = state.read.presets, axes = state.axes, shows = state.shows, shadows = shadows, trust = state.trust, today = state.today,
      may_touch = touches, leads = state.read.leads, raises = function(other) return raising[other] end }
    return prover.calls(input, f, f.name, function(label) return state.whose(f, label) end, fired)
  end
  local verdicts, unread, injection, changes = ask(nil)
  if injection then return { leak = injection, said = true } end
  local out, assumed, leak = {}, false, nil
  for _, r in ipairs(verdicts) do
    local v = r.verdict
    decide.cover(state.covers, v, f.signature)
    for _, text in ipairs(v.assumes or {}) do assumed = assumed or text:find "^search_path: " ~= nil end
    local theirs = v.status == "unknown" and (v.reason or ""):find(prover.OWN_ROW, 1, true)
    -- What a policy calls stands in the way of the rows that fire it: rls.rules.policies says so.
    local hijacked = fired and decide.hijacked(v)
    if hijacked and hijacked ~= f.name and not calls(f, hijacked, state.read, {}) then
      v = { status = "proven" }
      r.verdict = v
    end
    if fired and (theirs or not fired.counts(r)) then v = { status = "proven" } end
    if v.status == "counterexample" and r.mixed == "choice" and not r.touched then
      out.oracle = out.oracle or "" -- said by `choice`
      out.choice = out.choice or ("another tenant's row of %s decides which rows it reads, by LIMIT, OFFSET or DISTINCT ON beneath the "
        .. "test of the tenant: %s"):format(r.label, words(v.text))
    elseif v.status == "counterexample" and r.oracle then
      out.oracle = out.oracle or ("%s: whether there is a row: %s"):format(r.label, words(v.text))
    elseif v.status == "counterexample" then
      local does = (r.write and "it writes") or (r.touched and "it changes") or (r.mixed and "it gives values made of")
        or "it reaches"
      -- What an error's text tells is more than that it was raised.
      leak = leak and not (r.said and not leak.said) and leak or { verdict = v, said = r.said,
        label = r.label, write = r.write, touched = r.touched, flow = r.flow, mixed = r.mixed, changes = changes,
        leak = ("%s another tenant's row of %s: %s"):format(does, r.label, words(v.text)) }
    elseif v.status == "trusted" then
      out.trusted = out.trusted or ("it reaches another tenant's row of %s only so: %s"):format(r.label, v.trust[1].reason)
    elseif v.status == "unknown" and r.secret and not r.touched then
      out.secret = out.secret or r.secret
    elseif v.status == "unknown" and (r.oracle == "asked" or (v.reason or ""):find(prover.OWN_ID, 1, true)) then
      out.oracle = out.oracle or ("%s: %s"):format(r.label, words(v.reason))
    elseif v.status == "unknown" then
      out.unknown = out.unknown or ("%s: %s"):format(r.label, words(v.reason))
    end
  end
  if leak then return leak end
  for _, r in ipairs(verdicts) do
    local func, what, temporary = decide.hijacked(r.verdict)
    if func and not (fired and not fired.counts(r)) and not decide.in_vain(r.verdict, state.read.functions) then
      local how = temporary and "%s finds a temporary type of the caller's in place of the %s"
        or "%s finds the %s along the caller's search path, who may put another there"
      return { shadow = true, by_create = not temporary, changes = changes, leak = how:format(func, what) }
    end
  end
  if assumed then
    for _, r in ipairs(ask(true)) do
      if r.verdict.status == "counterexample" and not (fired and not fired.counts(r)) then
        return { leak = ("with tables of the caller's own in place of those that it names without their schema it reaches another "
          .. "tenant's row of %s: %s"):format(r.label, words(r.verdict.text)), verdict = r.verdict, label = r.label, write = r.write,
          shadow = true, changes = changes }
      end
    end
  end
  out.unknown = out.unknown or unread
  out.changes = changes
  return out
end

--- What the prover asks of a table: the columns that say whose its rows are, and the axes; nil where the function's owner is bound.
local function whose(seen, by_label, is_open, axes)
  return function(f, label)
    local t = by_label[label]
    if not t or not is_open(f, t) then return nil end
    if t.kind == "v" or (t.kind ~= "r" and t.kind ~= "p" and not t.tenant) then
      return nil, nil, ("it reads %s, which is made of tenants' rows"):format(t.label)
    end
    local path, owner = model.path(t, seen.by_oid)
    local columns = {}
    for _, name in ipairs(t.tenant and { t.tenant } or (t.parent_key and t.parent_key.columns) or {}) do columns[name] = true end
    return columns, decide.axes_for(path and owner, axes)
  end
end

--- What is said of one function: a finding, or that it is undecided.
local function say(found, undecided, f, r, world)
  -- That a row exists is told by a function that answers yes or no and changes nothing: an oracle, not a leak.
  local oracle = f.returns == "boolean" and not f.returns_set and not r.changes and not r.said
  local what = r.leak or (oracle and r.unknown) or (not r.unknown and r.oracle) or nil
  if what then
    found[#found + 1] = { class = r.shadow and "function_search_path" or "function_definer", object = f.signature,
      detail = ("it runs with the rights of %s, whom row-level security does not bind, and %s"):format(f.owner,
        r.leak or (what == "" and r.choice) or "what it tells was not decided: " .. what),
      reproduce = r.leak and calling.text(world, f, r) or calling.definition(world, f), advisory = (not r.leak or oracle) or nil,
      by_create = r.by_create, staged = r.leak and calling.staged(world, f, r) or nil }
  elseif r.trusted and not r.unknown then
    found[#found + 1] = { class = "policy_trusted", object = f.signature, advisory = true,
      detail = ("it runs with the rights of %s, whom row-level security does not bind, and %s"):format(f.owner, r.trusted),
      reproduce = "\\sf " .. f.signature:match "^(.-)%(" }
  elseif r.unknown then
    undecided[#undecided + 1] = { object = f.signature, owner = f.owner, reason = r.unknown, f = f, oracle = oracle }
  elseif r.secret then
    found[#found + 1] = { class = "function_by_secret", object = f.signature, advisory = true, note = true,
      detail = ("it runs with the rights of %s, whom row-level security does not bind, and answers whoever gives what %s is the hash of")
        :format(f.owner, r.secret), reproduce = "\\sf " .. f.signature:match "^(.-)%(" }
  end
end

--- What is asked of every function alike.
local function state_of(seen, base)
  local by_label, axes = {}, decide.axes(seen.settings)
  local all = { table.unpack(base) }
  for _, t in ipairs(seen.tables or {}) do
    local made = t.kind == "v" or t.kind == "m" or t.kind == "f"
    if made and (t.scope == "tenant" or t.scope == "child") then all[#all + 1] = t end
  end
  for _, t in ipairs(all) do by_label[t.label] = t end
  -- A materialised view and a foreign table have no policies; a view shows what whoever it reads as sees, unless it tests the tenant.
  local function is_open(f, t)
    if t.kind == "m" or t.kind == "f" then return true end
    if t.kind ~= "v" then return seen.owners:any_sees(f.owners, t) end
    if t.bound == false then return not t.filtered end
    for _, read in ipairs(t.reader == seen.app.role and t.reads or {}) do
      if seen.owners:any_sees(f.owners, read) then return true end
    end
    return false
  end
  seen.covers = seen.covers or {}
  return { trust = seen.trust, today = seen.today, covers = seen.covers, read = seen.model, role = seen.model.roles[1], axes = axes,
    shows = seen.owners:showing(), whose = whose(seen, by_label, is_open, axes), is_open = is_open, base = all }
end

--- May what a function does with its owner's rights reach rows that the application's would not?
local function is_suspect(f, state)
  local tables = open_tables(f, state)
  return #tables > 0 and may_touch(f, state.read, tables)
end

--- Does what a trigger's function does at one place matter? What it changes does; what it reads does unless it goes nowhere from there:
--- into no more than a test, or into rows that the application cannot read.
local function counts(f, r, readable)
  if r.write or r.touched then return true end
  local flow = r.flow
  if flow.dropped then return false end
  if flow.kept then return readable(flow.kept) end
  if not flow.into then return true end
  for name in flow.into:gmatch "%S+" do
    if name:find "^new%." then return true end
    if of_triggers.goes_on(flow.f or f, name) then return true end
  end
  return false
end

--- Tells whether the application may see what is put into the rows of a table, by itself, by a view or by a function.
local function readers(seen)
  local by_label, known = {}, {}
  for _, t in pairs(seen.by_oid) do by_label[t.label] = t end
  return function(label)
    local t = by_label[label]
    if not t then return true end
    if known[label] == nil then
      known[label] = (t.acts.select or definers.shows(seen, t)) == true
      for _, v in pairs(seen.by_oid) do
        for _, read in ipairs(v.acts.select and v.reads or {}) do known[label] = known[label] or read.oid == t.oid end
      end
    end
    return known[label]
  end
end

--- Findings about the functions of triggers that the application fires, which run with their owner's rights.
---@param conn table
---@param seen table       of rls.harness.look, with `model` and `owners`
---@param base rls.Table[]
---@return {class: string, object: string, detail: string, reproduce: string}[] findings
---@return {object: string, owner: string, reason: string, f: table}[] undecided
function definers.triggers(conn, seen, base)
  local found, undecided, state = {}, {}, nil
  local world, readable = reproduce.world(seen, seen.app.role), readers(seen)
  for _, at in ipairs(of_triggers.list(conn, seen)) do
    local f, t = at.f, seen.by_oid[at.rel]
    state = state or state_of(seen, base)
    local known = found[f] or undecided[f]
    if not known and is_suspect(f, state) then
      local r = judge(f, state, { event = at.event, label = t.label, counts = function(r) return counts(f, r, readable) end })
      local about = ("the trigger %s runs it with the rights of %s, whom row-level security does not bind, on %s of %s"):format(at.name,
        f.owner, at.event, t.label)
      if r.leak then
        found[f] = true
        found[#found + 1] = { class = r.shadow and "function_search_path" or "function_definer", object = f.signature,
          by_create = r.by_create, detail = ("%s, and %s"):format(about, r.leak), staged = firing.staged(world, at, t, r),
          reproduce = firing.text(world, at, t, r) or calling.definition(world, f) }
      elseif r.unknown then
        undecided[f] = true
        undecided[#undecided + 1] = { object = f.signature, owner = f.owner, reason = ("%s: %s"):format(about, r.unknown), f = f }
      end
    end
  end
  return found, undecided
end

--- Do the actions of a rewrite rule reach the tenant's own rows only? They act with the rights of their relation's owner, and NEW is the
--- caller's to choose.
---@param seen table  of rls.harness.look, with `model`
---@param w {owner: string, unbound: boolean, definition: string, open: string[]}
---@param t rls.Table  the relation of the rule
---@return boolean
function definers.rule_is_bound(seen, w, t)
  local action = w.definition:match "%sDO%s+INSTEAD%s+(.*)$" or w.definition:match "%sDO%s+ALSO%s+(.*)$"
    or w.definition:match "%sDO%s+(.*)$"
  if not action or not seen.model then return false end
  local f = { language = "sql", body = action:match "^%((.*)%);?%s*$" or action, parsed = true, security_definer = true, owner = w.owner,
    owner_bypasses = w.unbound, args = {} }
  for i, c in ipairs(t.columns) do f.args[i] = { name = c.name, type = c.type } end
  local by_label, axes, open = {}, decide.axes(seen.settings), {}
  for _, oid in ipairs(w.open) do open[oid] = true end
  for _, other in pairs(seen.by_oid) do by_label[other.label] = other end
  local input = { tables = seen.model.tables, functions = seen.model.functions, types = seen.model.types, role = seen.model.roles[1],
    leads = seen.model.leads,
      presets = seen.model.presets, axes = axes, shows = seen.owners:showing() }
  local of_table = whose(seen, by_label, function(_, other) return open[other.oid] end, axes)
  local verdicts, unread = prover.calls(input, f, "new", function(label) return of_table(f, label) end)
  for _, r in ipairs(verdicts) do
    if r.verdict.status ~= "proven" then return false end
  end
  return #verdicts > 0 and not unread
end

--- May the owner of a function change roles, or what guards a tenants' table?
local function may_grant(seen, f, base)
  if f.owner == seen.app.role then return false end
  if f.owner_bypasses then return true end
  local role = seen.owners:role_of(f.owner)
  for _, t in ipairs(base) do
    if t.owner == f.owner or role.inherits[t.owner] then return true end
  end
  return role.creates_roles
end

--- A schema of the function's own search path in which the role may make objects; nil for none. Names in a body that the server keeps
--- parsed are not looked up when it runs.
local function open_schema(f, role)
  if f.parsed then return nil end
  for _, item in ipairs(f.config or {}) do
    for name in (item:match "^search_path=(.*)$" or ""):gmatch "[^,%s]+" do
      name = name:match '^"(.*)"$' or name
      for _, schema in ipairs(role.creates or {}) do
        if name == schema then return schema end
      end
    end
  end
  return nil
end

--- Who writes rows that a policy of another table asks, and is not decided: the prover's word on that policy is none.
local function add_writers(seen, found, undecided)
  local known = {}
  for _, list in ipairs { found, undecided } do
    for _, one in ipairs(list) do known[one.object] = true end
  end
  for _, d in ipairs(seen.decisions or {}) do
    for _, v in pairs(d.verdicts) do
      local by = v.undecided_writer
      local object = by and (by.writer.f and by.writer.f.signature or by.writer.name)
      if by and not known[object] then
        known[object] = true
        undecided[#undecided + 1] = { object = object, owner = by.writer.by,
          f = not by.writer.event and by.writer.f or {}, -- what cannot be called has nothing to try
          reason = ("it writes rows that policies of %s ask, and which was not decided: %s"):format(d.table.label, by.reason) }
      end
    end
  end
end

--- Findings about functions with their owner's rights; what nobody could decide is given apart.
---@param seen table       of rls.harness.look, with `model` and `owners`
---@param base rls.Table[]
---@return {class: string, object: string, detail: string, reproduce: string, advisory: boolean?}[] findings
---@return {object: string, owner: string, reason: string, f: table}[] undecided
function definers.findings(seen, base)
  local read, found, undecided = seen.model, {}, {}
  local list = callable(read)
  local state, world = state_of(seen, base), reproduce.world(seen, seen.app.role)
  for _, f in ipairs(list) do
    local changed, unsure = rights.changed(f)
    if changed and may_grant(seen, f, base) then
      local text = ("it runs with the rights of %s, and %s"):format(f.owner, changed)
      if unsure then
        undecided[#undecided + 1] = { object = f.signature, owner = f.owner, reason = changed, f = f,
          staged = calling.staged_rights(world, f), reproduce = calling.definition(world, f) }
      else
        found[#found + 1] = { class = "function_definer", object = f.signature, detail = text,
          reproduce = calling.rights(world, f), staged = calling.staged_rights(world, f) }
      end
    elseif is_suspect(f, state) then
      local schema = open_schema(f, state.role)
      if schema then
        found[#found + 1] = { class = "function_search_path", object = f.signature, by_create = schema == "public",
          detail = ("it runs with the rights of %s, whom row-level security does not bind, and its search path holds %s, where %s may make "
            .. "functions and operators that match what it calls better than what is meant"):format(f.owner, schema, state.role.name),
          reproduce = ("select proconfig, has_schema_privilege(%s, %s, 'CREATE') from pg_proc where oid = %s::regprocedure;"):format(
            names.literal(state.role.name), names.literal(schema), names.literal(f.signature)) }
      else
        say(found, undecided, f, judge(f, state), world)
      end
    end
  end
  add_writers(seen, found, undecided)
  return found, undecided
end

return definers
