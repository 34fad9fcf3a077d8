--- SQL by which the application calls a function that has its owner's rights, and what comes of it.
--
-- What shows it is a text of one of several kinds; which of them does, rls.staging finds out on the server.
local arguments = require "rls.rules.arguments"
local functions = require "rls.prover.functions"
local mentions = require "rls.mentions"
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"

local calling = {}

--- Who may call it, itself or by an aggregate, and what it is.
local DEFINITION = [[
select pg_get_userbyid(p.proowner) as owner, has_function_privilege(%s, p.oid, 'EXECUTE') or exists (select from pg_aggregate a
         where p.oid in (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
           and has_function_privilege(%s, a.aggfnoid, 'EXECUTE')) as callable, pg_get_functiondef(p.oid)
  from pg_proc p where p.oid = %s::regprocedure;]]

--- Texts that open a condition, a string, a list of columns or a name, where a function puts them into SQL: the first is shown untried.
local INJECTIONS = { "true or true", "'x' OR true", "x' OR 'x' = 'x", "0 OR true", "1", "true" }

--- Most tables of which an injection is given a row to show.
local MOST_SHOWN = 3

--- What is another tenant's, and the tenant's own key, by the type of the tenant column.
local KEYS = { uuid = { "b0000000-0000-4000-8000-00000000000b", "a0000000-0000-4000-8000-00000000000a" } }

--- The definition of a function, for what is not called.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@return string
function calling.definition(world, f)
  return DEFINITION:format(names.literal(world.app), names.literal(world.app), names.literal(f.signature))
end

--- Who may call it, and the statements that do, the usual one first: nil where nobody may, by itself or as the step of an aggregate.
---@param f table
---@param s rls.Signature
---@param list string  arguments
local function calls_of(f, s, list)
  local caller = f.callers[1]
  if not caller and f.step_of then
    -- The first argument of a step is the aggregate's own.
    return f.step_of[1], { ("SELECT shown FROM (SELECT %s(%s) AS shown) x WHERE shown IS NOT NULL;"):format(f.step_of[2],
      list:match "^[^,]*, (.*)$" or "") }
  end
  if not caller then return nil end
  if f.kind == "p" then return caller, { ("CALL %s(%s);"):format(s.called, list) } end
  local plain = ("SELECT %s(%s);"):format(s.called, list)
  if f.returns == "record" and not s.columns then return caller, { plain } end
  return caller, { ("SELECT * FROM %s(%s);"):format(s.called, list), plain }
end

local function as_caller(world, caller) return setmetatable({ app = caller }, { __index = world }) end

--- What the counterexample says of the arguments, as literals, by their place.
local function given(f, v, settings)
  local out = {}
  for i, arg in ipairs(f.args) do
    local value = v and settings["\1argument." .. (arg.name and arg.name ~= "" and arg.name or ("$%d"):format(i))]
    if value ~= nil and value ~= functions.UNKNOWN then out[i] = prover.literal(value) end
  end
  return out
end

--- The text of a function and of those that it calls, in lower case.
local function whole_text(world, f, seen)
  if seen[f] then return "" end
  seen[f] = true
  local text = (f.body or ""):lower()
  local parts = { text }
  for _, other in ipairs(world.functions or {}) do
    if mentions.call(text, other.name:match "[^.]*$") then parts[#parts + 1] = whole_text(world, other, seen) end
  end
  return table.concat(parts, "\n")
end

--- Own rows that hold what the other tenant's row says, in the tables that the function names: where it answers nothing it copies.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@param v prover.Verdict
---@param label string  of the other tenant's table
---@return string?
function calling.copied(world, f, v, label)
  local parts, said, own = {}, {}, v.assignment and v.assignment.own[1]
  local t, text = world.by_label[label], whole_text(world, f, {})
  for name, value in pairs(t and v.assignment and v.assignment.row or {}) do
    local c = t.by_column[name]
    if c and c.category == "S" and type(value) == "string" then
      said[#said + 1] = ("strpos(to_jsonb(x)::text, %s) > 0"):format(names.literal('"' .. value .. '"'))
    end
  end
  table.sort(said)
  for other, t2 in pairs(world.by_label) do
    local base = (t2.kind == "r" or t2.kind == "p") and t2.tenant and own ~= nil and mentions.name(text, t2.name)
    if base then
      parts[#parts + 1] = ("SELECT %s AS of, to_jsonb(x) AS own_row FROM %s x WHERE %s = %s AND (%s)"):format(names.literal(other), t2.sql,
        names.ident(t2.tenant), prover.literal(own), table.concat(said, " OR "))
    end
  end
  table.sort(parts)
  return #said > 0 and #parts > 0 and table.concat(parts, "\nUNION ALL ") .. ";" or nil
end

--- What is known of a function without asking the server: for the text that is shown where none is tried.
local function plain_signature(f)
  local s = { called = f.signature:match "^(.-)%(", kind = f.kind, defaults = 0, variadic = false, args = {}, columns = true }
  for i, arg in ipairs(f.args) do
    s.args[i] = { mode = "i", name = arg.name or "", type = arg.type, category = arg.type == "text" and "S" or "", base = arg.type,
      labels = {} }
  end
  return s
end

local function add(out, variant)
  for _, other in ipairs(out) do
    if other.text == variant.text then return end
  end
  out[#out + 1] = variant
end

--- Variants for one list of arguments: what the call answers, what it changes, what it copies.
local function add_calls(out, world, f, s, r, list)
  local v, t = r.verdict, world.by_label[r.label]
  local based = t and (t.kind == "r" or t.kind == "p") and t or nil
  local caller, statements = calls_of(f, s, list)
  local as = caller and as_caller(world, caller)
  local copied = based and calling.copied(world, f, v, r.label)
  local silent = f.returns == "void" or f.kind == "p"
  for _, statement in ipairs(statements or {}) do
    if based and (r.write or r.touched) then
      add(out, reproduce.staged(as, based, v, { statement }, { is_new = r.write, changes = reproduce.theirs(based, v) }))
    end
    -- What it touches it may only read: RETURNING, USING, FROM.
    if not (based and r.write) then
      local answer = reproduce.staged(as, based, v, { statement }, {})
      if not (silent and copied) then add(out, answer) end
      if copied then add(out, reproduce.staged(as, based, v, { statement }, { look = copied })) end
      if silent and copied and f.kind == "p" then add(out, answer) end
    end
  end
end

--- Texts that may show what a decided function does.
local function of_verdict(world, f, s, r)
  local out, values = {}, given(f, r.verdict, r.verdict.assignment and r.verdict.assignment.settings or {})
  local t, a = world.by_label[r.label], r.verdict.assignment
  if r.write or r.touched then
    -- What it writes may have to be something.
    local filled = { table.unpack(values) }
    for i, arg in ipairs(f.args) do filled[i] = values[i] or (arg.type == "text" and "'canary'") or nil end
    for _, list in ipairs(arguments.lists(f, s, filled, t, a and a.row)) do add_calls(out, world, f, s, r, list) end
  end
  for _, list in ipairs(arguments.lists(f, s, values, t, a and a.row)) do add_calls(out, world, f, s, r, list) end
  return out
end

--- The tables of which a function that executes what it is given may show a row.
local function shown_tables(world, f)
  local named, all, text = {}, {}, whole_text(world, f, {})
  for _, t in pairs(world.by_label) do
    if (t.kind == "r" or t.kind == "p") and t.tenant and t.scope == "tenant" then
      all[#all + 1] = t
      if mentions.name(text, t.name) then named[#named + 1] = t end
    end
  end
  local list = #named > 0 and named or all
  table.sort(list, function(x, y) return x.label < y.label end)
  return table.move(list, 1, math.min(#list, MOST_SHOWN), 1, {})
end

--- A counterexample of any row of another tenant, for what no proof speaks of.
local function any_row(world, t)
  local c = t.by_column[t.tenant]
  local keys = KEYS[c.base] or (c.category == "N" and { 1000002, 1000001 }) or { "canary-b", "canary-a" }
  local row = { [t.tenant] = keys[1] }
  -- A number that a sequence gives is another one each time.
  for _, unique in ipairs(t.uniques) do
    local key = #unique.columns == 1 and t.by_column[unique.columns[1]]
    if key and key.category == "N" and not row[key.name] then row[key.name] = 1000003 end
  end
  return { assignment = { row = row, rows = {}, own = { keys[2] }, settings = {} },
    statements = world.enter and world.enter(tostring(keys[2])) or {} }
end

--- Texts that may show what a function does that executes what it is given.
local function of_injection(world, f, s)
  local out = {}
  for _, t in ipairs(shown_tables(world, f)) do
    local v = any_row(world, t)
    local texts = { table.unpack(INJECTIONS) }
    texts[#texts + 1] = t.sql
    texts[#texts + 1] = ("SELECT to_jsonb(x) FROM %s x"):format(t.sql)
    texts[#texts + 1] = ("SELECT count(*) FROM %s x"):format(t.sql)
    texts[#texts + 1] = ("SELECT to_tsvector('simple', to_jsonb(x)) FROM %s x"):format(t.sql)
    texts[#texts + 1] = ("DELETE FROM %s"):format(t.sql)
    for _, text in ipairs(texts) do
      local values = {}
      for i, arg in ipairs(f.args) do
        values[i] = (arg.type == "text" and names.literal(text)) or (arg.type == "regclass" and names.literal(t.sql)) or nil
      end
      for _, list in ipairs(arguments.lists(f, s, values, t, v.assignment.row)) do
        local caller, statements = calls_of(f, s, list)
        for _, statement in ipairs(statements or {}) do
          local as = as_caller(world, caller)
          if f.returns ~= "void" then add(out, reproduce.staged(as, t, v, { statement }, {})) end
          add(out, reproduce.staged(as, t, v, { statement }, { changes = reproduce.theirs(t, v) }))
        end
      end
    end
  end
  return out
end

--- Where values of others flow into what it answers: how the answer changes when their rows come.
local function flowing_text(world, f, s, r)
  local t, a = world.by_label[r.label], r.verdict.assignment
  local based = t and (t.kind == "r" or t.kind == "p") and a
  local values = based and given(f, r.verdict, a.settings or {})
  local caller, statements = calls_of(f, s, values and arguments.lists(f, s, values, t, a.row)[1] or {})
  local called = based and caller and statements[1]:match "^SELECT %* FROM (.*);$"
  return called and reproduce.with_neighbours(as_caller(world, caller), t, r.verdict, called) or nil
end

--- The text that is shown where none can be tried: arguments as the counterexample has them, and what the call shows or changes.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@param r table      of rls.rules.definers: what it is decided to be
---@return string
function calling.text(world, f, r)
  local s = plain_signature(f)
  local flowing = r.mixed and flowing_text(world, f, s, r)
  if flowing then return flowing end
  if r.verdict then
    local first = of_verdict(world, f, s, r)[1]
    return first and first.text or calling.definition(world, f)
  end
  local values = {}
  for i, arg in ipairs(f.args) do values[i] = arg.type == "text" and names.literal(INJECTIONS[1]) or nil end
  local caller, statements = calls_of(f, s, arguments.lists(f, s, values)[1])
  if not caller then return calling.definition(world, f) end
  return (reproduce.text(as_caller(world, caller), nil, nil, statements[1]))
end

--- The texts that may show it, the likeliest first.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@param r table      of rls.rules.definers: what it is decided to be
---@return rls.Staged?
function calling.staged(world, f, r)
  if r.mixed then return nil end -- it is shown by what changes, and stands as it is
  return { f = f, verdict = r.verdict, table = world.by_label[r.label or ""], writes = r.write or r.touched,
    texts = function(s, v)
      if not v then return not r.shadow and of_injection(world, f, s) or {} end
      return of_verdict(world, f, s, setmetatable({ verdict = v }, { __index = r }))
    end }
end

--- Who has which rights, and what guards the tables.
local RIGHTS = [[
SELECT 'role ' || rolname AS of, to_jsonb(r) - 'rolpassword' AS rights FROM pg_roles r
UNION ALL SELECT 'membership of ' || roleid::regrole, jsonb_build_object('member', member::regrole::text, 'admin', admin_option)
  FROM pg_auth_members
UNION ALL SELECT 'table ' || oid::regclass, jsonb_build_object('owner', relowner::regrole::text, 'row security', relrowsecurity,
  'forced', relforcerowsecurity) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relpersistence <> 't'
UNION ALL SELECT 'policy ' || polname || ' on ' || polrelid::regclass, jsonb_build_object('command', polcmd::text,
  'permissive', polpermissive, 'roles', polroles::regrole[]::text, 'using', pg_get_expr(polqual, polrelid),
  'check', pg_get_expr(polwithcheck, polrelid)) FROM pg_policy]]

--- The call of a function that changes who may do what, and what it changed; its definition where it asks for arguments.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@return string
function calling.rights(world, f)
  local caller, statements = calls_of(f, plain_signature(f), "")
  if not caller or #f.args > 0 then return calling.definition(world, f) end
  return reproduce.with_changes(reproduce.text(as_caller(world, caller), nil, nil, statements[1]), RIGHTS)
end

--- Lists of values for its arguments: the application's role, one that has rights, a table and a policy, in the place of the first two
--- texts.
local function right_values(world, f)
  local t, texts, plain = shown_tables(world, f)[1], {}, {}
  local pool = { names.literal(world.app), "'pg_read_all_data'" }
  if t then table.move({ names.literal(t.name), names.literal(t.label) }, 1, 2, 3, pool) end
  if t and t.policies[1] then pool[#pool + 1] = names.literal(t.policies[1].name) end
  for i, arg in ipairs(f.args) do
    if arg.type == "text" or arg.type == "name" or arg.type == "character varying" then texts[#texts + 1] = i end
    if arg.type == "regclass" and t then plain[i] = names.literal(t.sql) end
    if arg.type == "regrole" then plain[i] = pool[1] end
  end
  local out = { plain }
  for place = 1, math.min(#texts, 2) do
    for k = 1, #out do
      for _, word in ipairs(out[k][texts[place]] and {} or pool) do
        local more = {}
        for i in pairs(f.args) do more[i] = out[k][i] end
        more[texts[place]] = word
        out[#out + 1] = more
      end
    end
  end
  return out
end

--- The texts that may show what a function changes of who may do what.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@return rls.Staged
function calling.staged_rights(world, f)
  return { f = f, texts = function(s)
    local out = {}
    for _, values in ipairs(right_values(world, f)) do
      for _, list in ipairs(arguments.lists(f, s, values)) do
        local caller, statements = calls_of(f, s, list)
        if caller then add(out, reproduce.staged(as_caller(world, caller), nil, nil, { statements[1] }, { changes = RIGHTS })) end
      end
    end
    return out
  end }
end

return calling
