--- What a function may be called with: its arguments as the catalogue has them, and values for those that a counterexample says nothing of.
--
-- Which of the values it takes the server says (rls.staging). PostgreSQL manual: 38.2.5 (polymorphic types), 38.5.6 (VARIADIC),
-- 4.3 (defaults), CALL (a procedure's OUT arguments have their place in the call).
local arrays = require "rls.arrays"
local catalogue = require "rls.catalogue"
local functions = require "rls.prover.functions"
local json = require "json"
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"

local arguments = {}

--- Most literals of a function's text that are tried in the place of an argument.
local LITERALS = 6

local INFO = [[
  select p.oid::text as oid, format('%I.%I', n.nspname, p.proname) as called, p.prokind::text as kind, p.pronargdefaults as defaults,
         p.provariadic <> 0 as variadic, coalesce(p.proargmodes[a.i]::text, 'i') as mode, coalesce(p.proargnames[a.i], '') as name,
         format_type(a.t, null) as type, y.typcategory::text as category, coalesce(b.typname, y.typname)::text as base,
         y.typrelid <> 0 as composite, array(select e.enumlabel::text from pg_enum e where e.enumtypid = y.oid order by e.enumsortorder)
           as labels
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    left join lateral unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality a(t, i) on true
    left join pg_type y on y.oid = a.t left join pg_type b on b.oid = nullif(y.typbasetype, 0)
   where p.oid::text = any($1) order by p.oid, a.i]]

--- Types that stand for any: each with one that it may be.
local CONCRETE = { anyelement = "text", anynonarray = "text", anycompatible = "text", anycompatiblenonarray = "text",
  anyarray = "text[]", anycompatiblearray = "text[]", anyrange = "int4range", anycompatiblerange = "int4range",
  anymultirange = "int4multirange", anycompatiblemultirange = "int4multirange", ['"any"'] = "text" }
local CONCRETE_CATEGORY = { text = "S", ["text[]"] = "A", int4range = "R", int4multirange = "R" }

---@class rls.Signature
---@field called string     the function's name, quoted where it must be
---@field kind string       pg_proc.prokind
---@field defaults integer  of its last arguments
---@field variadic boolean
---@field args {mode: string, name: string, type: string, category: string, base: string, composite: boolean, labels: string[]}[]  those
---  that have a place in a call
---@field columns boolean   does it say what its rows have?

--- Reads what the server needs to be told in a call.
---@param conn table
---@param oids string[]
---@return table<string, rls.Signature>  by oid
function arguments.read(conn, oids)
  local out, rows = {}, nil
  catalogue.qualified(conn, function() rows = conn:query(INFO, arrays.text(oids)) end)
  for _, row in ipairs(rows) do
    local s = out[row.oid] or { called = row.called, kind = row.kind, defaults = row.defaults, variadic = row.variadic, args = {} }
    out[row.oid] = s
    if row.mode == "t" or row.mode == "o" then s.columns = true end
    if row.type and (row.mode == "i" or row.mode == "b" or row.mode == "v" or row.kind == "p") then
      local concrete = CONCRETE[row.type]
      row.type = concrete or row.type
      row.category = concrete and CONCRETE_CATEGORY[concrete] or row.category
      s.args[#s.args + 1] = row
    end
  end
  return out
end

--- Is the argument the caller's to choose?
local function is_in(arg) return arg.mode ~= "o" end

--- A value of the argument's type that is not NULL, as SQL; nil where none is known.
local function filler(arg)
  if arg.composite then return ("jsonb_populate_record(NULL::%s, '{}')"):format(arg.type) end
  local value = reproduce.filler(arg)
  return value ~= "NULL" and ("%s::%s"):format(value, arg.type) or nil
end

--- What the other tenant's row holds of the argument's type; the row itself where that is its type.
local function of_row(arg, t, row)
  if arg.composite then
    local fields = {}
    for name, value in pairs(row) do
      if value ~= functions.UNKNOWN and type(value) ~= "table" then fields[name] = value end
    end
    return ("jsonb_populate_record(NULL::%s, %s)"):format(arg.type, names.literal(json.encode(fields)))
  end
  for _, c in ipairs(t and t.columns or {}) do
    local value = row[c.name]
    local known = value ~= nil and value ~= json.null and value ~= functions.UNKNOWN
    if known and c.type == arg.type and c.name ~= t.tenant then return ("%s::%s"):format(prover.literal(value), arg.type) end
  end
  return nil
end

--- Texts that the function's own text holds as literals: what a guard asks for stands there.
local function literals_of(body)
  local out, seen = {}, {}
  for text in (body or ""):gmatch "'([^'%%\n]+)'" do
    if not seen[text] and #out < LITERALS then
      seen[text] = true
      out[#out + 1] = text
    end
  end
  return out
end

--- The place from which on all arguments have a default and none is given.
local function left_out_from(s, given)
  local left, from = s.defaults, #s.args + 1
  for i = #s.args, 1, -1 do
    if is_in(s.args[i]) then
      if given[i] or left == 0 then break end
      left, from = left - 1, i
    end
  end
  return from
end

--- One list of arguments as SQL. default: what one gets that nothing is known of; "" leaves it to its default, where it may be.
local function list_of(s, given, default)
  local out, from = {}, left_out_from(s, given)
  for i, arg in ipairs(s.args) do
    local value = not is_in(arg) and "NULL" or given[i] or default(arg)
    if value == "" then
      if i >= from then break end
      value = "NULL"
    end
    if value == "NULL" then value = "NULL::" .. arg.type end
    out[#out + 1] = (arg.mode == "v" and arg.type ~= "text" and s.variadic and "VARIADIC " or "") .. value
  end
  return table.concat(out, ", ")
end

--- Ways to fill in what is not given, the plainest first: each a function of list_of.
local function ways(f, t, row)
  local out = {
    function() return "NULL" end,
    function() return "" end,
    function(arg) return filler(arg) or "NULL" end,
    function(arg) return of_row(arg, t, row or {}) or filler(arg) or "NULL" end,
    function(arg) return arg.category == "B" and "false" or filler(arg) or "NULL" end,
  }
  for _, text in ipairs(literals_of(f.body)) do
    local literal = names.literal(text)
    out[#out + 1] = function(arg) return arg.category == "S" and ("%s::%s"):format(literal, arg.type) or filler(arg) or "NULL" end
  end
  return out
end

--- Lists of arguments to call a function with.
---@param f table            of rls.Model.all_functions
---@param s rls.Signature
---@param values table<integer, string>  literals of those that are given, by their place among the function's own
---@param t rls.Table?       whose row another tenant's is
---@param row table<string, any>?
---@return string[] lists    as SQL, without repetitions
function arguments.lists(f, s, values, t, row)
  local given, out, seen, at = {}, {}, {}, 0
  for i, arg in ipairs(s.args) do
    if is_in(arg) then
      at = at + 1
      given[i] = values[at] and ("%s::%s"):format(values[at], arg.type) or nil
    end
  end
  for _, way in ipairs(ways(f, t, row)) do
    local list = list_of(s, given, way)
    if not seen[list] then
      seen[list] = true
      out[#out + 1] = list
    end
  end
  return out
end

return arguments
