--- SQL by which the application calls a function that has its owner's rights, and what comes of it.
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

--- The definition of a function, for what is not called.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@return string
function calling.definition(world, f)
  return DEFINITION:format(names.literal(world.app), names.literal(world.app), names.literal(f.signature))
end

--- Who may call it, and by which statement: nil where nobody may, by itself or as the step of an aggregate.
local function call_of(f, args)
  local caller, name = f.callers[1], f.signature:match "^(.-)%("
  if not caller and f.step_of then
    caller, name = f.step_of[1], f.step_of[2] -- its first argument is the aggregate's own
    return caller, ("SELECT shown FROM (SELECT %s(%s) AS shown) x WHERE shown IS NOT NULL;"):format(name, table.concat(args, ", ", 2))
  end
  if not caller then return nil end
  return caller, ("%s %s(%s);"):format(f.kind == "p" and "CALL" or "SELECT * FROM", name, table.concat(args, ", "))
end

local function as_caller(world, caller) return setmetatable({ app = caller }, { __index = world }) end

--- The arguments as the counterexample has them. One that it says nothing of may have to be something where the function writes.
local function arguments(f, r)
  local v, args = r.verdict, {}
  local settings = v and v.assignment and v.assignment.settings or {}
  for i, arg in ipairs(f.args) do
    local value = settings["\1argument." .. (arg.name and arg.name ~= "" and arg.name or ("$%d"):format(i))]
    -- Of a function that puts a text into SQL: a condition that holds for every row.
    if not v and arg.type == "text" then value = "true or true" end
    if value == nil and v and (r.write or r.touched) and arg.type == "text" then value = "canary" end
    args[i] = ("%s::%s"):format(value and names.literal(value) or "NULL", arg.type)
  end
  return args
end

--- Own rows that hold what the other tenant's row says, in the tables that the function names: where it answers nothing it copies.
local function copied_sql(world, f, v)
  local parts, said, own = {}, {}, v.assignment and v.assignment.own[1]
  for name, value in pairs(v.assignment and v.assignment.row or {}) do
    local c = world.by_label[v.label or ""] and world.by_label[v.label].by_column[name]
    if c and c.category == "S" and type(value) == "string" then
      said[#said + 1] = ("strpos(to_jsonb(x)::text, %s) > 0"):format(names.literal('"' .. value .. '"'))
    end
  end
  table.sort(said)
  for label, t in pairs(world.by_label) do
    local base = (t.kind == "r" or t.kind == "p") and t.tenant and own ~= nil and mentions.name((f.body or ""):lower(), t.name)
    if base then
      parts[#parts + 1] = ("SELECT %s AS of, to_jsonb(x) AS own_row FROM %s x WHERE %s = %s AND (%s)"):format(names.literal(label), t.sql,
        names.ident(t.tenant), prover.literal(own), table.concat(said, " OR "))
    end
  end
  table.sort(parts)
  return #said > 0 and #parts > 0 and table.concat(parts, "\nUNION ALL ") .. ";" or nil
end

--- The call, with arguments as the counterexample has them, and what it shows or changes.
---@param world table  of rls.reproduce
---@param f table      of rls.Model.all_functions
---@param r table      of rls.rules.definers: what it is decided to be
---@return string
function calling.text(world, f, r)
  local v = r.verdict
  local caller, statement = call_of(f, arguments(f, r))
  if not caller then return calling.definition(world, f) end
  local t = v and world.by_label[r.label]
  local based = t and (t.kind == "r" or t.kind == "p") and t or nil
  if based and (r.write or r.touched) then
    return reproduce.with_difference(reproduce.text(as_caller(world, caller), based, v, statement, r.write), based, v)
  end
  local called = r.mixed and based and statement:match "^SELECT %* FROM (.*);$"
  if called then return reproduce.with_neighbours(as_caller(world, caller), based, v, called) end
  local silent = f.returns == "void" or f.kind == "p"
  local copied = silent and based and copied_sql(world, f, setmetatable({ label = r.label }, { __index = v }))
  if copied then statement = ("%s\nRESET SESSION AUTHORIZATION;\n%s"):format(statement, copied) end
  return reproduce.text(as_caller(world, caller), based, v, statement, r.write)
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
  local caller, statement = call_of(f, {})
  if not caller or #f.args > 0 then return calling.definition(world, f) end
  return reproduce.with_changes(reproduce.text(as_caller(world, caller), nil, nil, statement), RIGHTS)
end

return calling
