--- What leads to a function without calling it by its name, and calls that lead to rows by themselves.
--
-- Operators, casts, aggregates, CHECK constraints of domains and tables, defaults, generated columns and index expressions call functions
-- that no text names. PostgreSQL manual: 38.14, CREATE CAST, CREATE AGGREGATE, CREATE DOMAIN, 5.4, 11.7; pg_depend says what a stored
-- expression calls (51.18).
local mentions = require "rls.mentions"

local leads = {}

---@class rls.Leads
---@field operators {name: string, left: string, right: string, f: prover.Function, shadowed: boolean}[]
---@field casts {source: string, target: string, implicit: boolean, f: prover.Function}[]
---@field aggregates {name: string, f: prover.Function}[]
---@field domains table<string, prover.Function[]>  by the name, as format_type prints it
---@field tables table<string, {what: string, f: prover.Function}[]>  by label: what a row that is written is put through
---@field triggers table<string, {events: string, f: prover.Function}[]>  by label
---@field foreign table<string, string>  functions of extensions that run SQL or reach files and servers → the extension
---@field volatile table<string, boolean>  functions of pg_catalog

local LEADS = [[
  with own as (
    select p.oid from pg_proc p where p.oid >= 16384
       and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')),
  stored(class, oid, kind, name, what) as (
    select 'pg_constraint'::regclass, k.oid, 'domain', format_type(k.contypid, null), 'check' from pg_constraint k where k.contypid <> 0
    union all select 'pg_constraint'::regclass, k.oid, 'table', k.conrelid::text, 'check' from pg_constraint k
     where k.contype = 'c' and k.conrelid <> 0
    union all select 'pg_attrdef'::regclass, a.oid, 'table', a.adrelid::text, 'default' from pg_attrdef a
    union all select 'pg_class'::regclass, i.indexrelid, 'table', i.indrelid::text, 'index' from pg_index i
     where i.indexprs is not null or i.indpred is not null)
  select 'operator' as kind, n.nspname || '.' || o.oprname as name, format_type(o.oprleft, null) as a, format_type(o.oprright, null) as b,
         o.oprcode::oid::text as func, exists (select from pg_operator s where s.oprname = o.oprname
           and s.oprnamespace = 'pg_catalog'::regnamespace) as shadowed
    from pg_operator o join pg_namespace n on n.oid = o.oprnamespace where o.oprcode::oid in (select oid from own)
  union all
  select 'cast', format_type(c.casttarget, null), format_type(c.castsource, null), c.castcontext::text, c.castfunc::text, false
    from pg_cast c where c.castfunc in (select oid from own)
  union all
  select 'aggregate', n.nspname || '.' || p.proname, null, null, f::text, false
    from pg_aggregate a join pg_proc p on p.oid = a.aggfnoid join pg_namespace n on n.oid = p.pronamespace,
         unnest(array[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) f
   where f in (select oid from own)
  union all
  select s.kind, case when s.kind = 'table' then (select n.nspname || '.' || c.relname from pg_class c
           join pg_namespace n on n.oid = c.relnamespace where c.oid::text = s.name) else s.name end, s.what, null, f.oid::text, false
    from stored s join pg_depend d on d.classid = s.class and d.objid = s.oid
    left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
    join own f on f.oid = case when d.refclassid = 'pg_proc'::regclass then d.refobjid else o.oprcode::oid end
  union all
  select 'trigger', n.nspname || '.' || c.relname, concat_ws(' ', case when t.tgtype & 4 = 4 then 'INSERT' end,
         case when t.tgtype & 8 = 8 then 'DELETE' end, case when t.tgtype & 16 = 16 then 'UPDATE' end), null, t.tgfoid::text, false
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
   where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgfoid in (select oid from own)
  union all
  select 'volatile', p.proname::text, null, null, null, false from pg_proc p
   where p.pronamespace = 'pg_catalog'::regnamespace and p.provolatile = 'v'
  union all
  select 'foreign', p.proname::text, x.extname::text, null, null, false from pg_extension x
    join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = x.oid and d.deptype = 'e'
     and d.classid = 'pg_proc'::regclass
    join pg_proc p on p.oid = d.objid
   where x.extname in ('dblink', 'tablefunc', 'xml2', 'pageinspect', 'pg_walinspect', 'pg_stat_statements', 'adminpack', 'pg_cron',
     'pg_background', 'citus', 'plproxy', 'pg_surgery', 'pg_dirtyread', 'postgres_fdw', 'oracle_fdw', 'mysql_fdw', 'orafce', 'pg_ivm',
     'timescaledb', 'pg_partman', 'pg_task', 'pg_later', 'pg_duckdb', 'aws_s3', 'azure_storage', 'file_fdw', 'plv8', 'pg_readonly')]]

--- Reads what leads where.
---@param conn table  the admin's, with search_path = pg_catalog
---@param all table[] of rls.Model.all_functions
---@return rls.Leads
function leads.read(conn, all)
  local out = { operators = {}, casts = {}, aggregates = {}, domains = {}, tables = {}, triggers = {}, foreign = {}, volatile = {},
    all = {} }
  local by_oid = {}
  for _, f in ipairs(all) do by_oid[f.oid] = f end
  for _, row in ipairs(conn:query(LEADS)) do
    local f = by_oid[row.func or ""]
    if f then out.all[#out.all + 1] = { kind = row.kind, name = row.name, f = f } end
    if row.kind == "volatile" then
      out.volatile[row.name] = true
    elseif row.kind == "foreign" then
      out.foreign[row.name] = row.a
    elseif f and row.kind == "operator" then
      table.insert(out.operators, { name = row.name, left = row.a, right = row.b, f = f, shadowed = row.shadowed })
    elseif f and row.kind == "cast" then
      table.insert(out.casts, { target = row.name, source = row.a, implicit = row.b ~= "e", f = f })
    elseif f and row.kind == "aggregate" then
      table.insert(out.aggregates, { name = row.name, f = f })
    elseif f and row.kind == "trigger" then
      out.triggers[row.name] = out.triggers[row.name] or {}
      table.insert(out.triggers[row.name], { events = row.a, f = f })
    elseif f then
      local list = row.kind == "domain" and out.domains or out.tables
      list[row.name] = list[row.name] or {}
      table.insert(list[row.name], row.kind == "domain" and f or { what = row.a, f = f })
    end
  end
  return out
end

local function bare(name) return name:match "[^.]*$" end

--- The functions to which a text may lead, read without a parser: those that it calls by name, and those that operators, aggregates and
--- tables in it stand for. Casts and domains leave no mark that could be looked for.
---@param f table        of rls.Model.all_functions
---@param read rls.Model
---@return table[]
function leads.of(f, read)
  read.leads_of = read.leads_of or {}
  if read.leads_of[f] then return read.leads_of[f] end
  local text, out = (f.body or ""):lower(), {}
  for _, other in ipairs(read.all_functions) do
    if mentions.call(text, bare(other.name)) then out[#out + 1] = other end
  end
  for _, lead in ipairs(read.leads and read.leads.all or {}) do
    local kind, name = lead.kind, bare(lead.name)
    local there = kind == "cast" or kind == "domain"
      or (kind == "operator" and text:find(lead.name:match "%.([^%a_]+)$" or name, 1, true))
      or (kind == "aggregate" and mentions.call(text, name)) or ((kind == "table" or kind == "trigger") and mentions.name(text, name))
    if there then out[#out + 1] = lead.f end
  end
  read.leads_of[f] = out
  return out
end

--- The functions that may raise something, themselves or by what they call.
---@param read rls.Model
---@return table[] list
---@return table<table, boolean> known
function leads.raising(read)
  if read.raising then return read.raising.list, read.raising.known end
  local known, list = {}, {}
  local function raises(f, seen)
    if known[f] ~= nil then return known[f] end
    if seen[f] then return false end
    seen[f] = true
    local text = (f.body or ""):lower()
    local found = f.language == "plpgsql" and text:find "%f[%w_]raise%f[^%w_]" ~= nil
    for _, other in ipairs(found and {} or leads.of(f, read)) do found = found or raises(other, seen) end
    return found
  end
  for _, f in ipairs(read.all_functions) do
    known[f] = raises(f, {})
    if known[f] then list[#list + 1] = f end
  end
  read.raising = { list = list, known = known }
  return list, known
end

return leads
