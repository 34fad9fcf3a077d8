--- Does a function stay within its transaction? Only then may it be called: what it did is then undone with it.
--
-- Looked through is its text and everything that it leads to: functions, aggregates, operators, casts and domains of the schema's own, and
-- relations with their triggers, rules, checks, defaults, policies, index expressions, children and referencing tables. Names are
-- found without a parser: whatever may stand for one counts. What cannot be looked into is no promise: text that is made at run time,
-- other languages, foreign tables, functions of the server or of extensions that are not known to stay within.
--
-- PostgreSQL manual: 38.7 (volatility: a function that is not volatile may not change anything; of those that are volatile the known are
-- listed here), 43.5.4 (EXECUTE).
local arrays = require "rls.arrays"
local dialect = require "rls.dialect"

---@class rls.Confined
---@field conn table
local Confined = {}
Confined.__index = Confined

local confined = {}

--- What reaches further, written in a function: servers' files and processes, other databases, transactions of its own.
local REACHES_FURTHER = { "dblink", "pg_read_", "pg_ls_", "pg_write_", "lo_import", "lo_export", "pg_terminate", "pg_cancel", "pg_sleep",
  "pg_reload", "pg_rotate", "pg_switch", "pg_advisory", "pg_notify", "http", "net%.", "copy%f[^%w_]", "notify%f[^%w_]", "commit%f[^%w_]",
  "rollback%f[^%w_]", "set%f[^%w_]%s+role", "set%f[^%w_]%s+session", "vacuum", "alter%s+system", "program", "load%f[^%w_]",
  "subscription%f[^%w_]", "extension%f[^%w_]", "language%f[^%w_]", "foreign%f[^%w_]" }

--- Volatile functions of the server that write nothing but rows, large objects, settings and sequences.
local WITHIN = { "random", "random_normal", "setseed", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7", "nextval",
  "currval", "lastval", "setval", "set_config", "current_query", "lo_create", "lo_creat", "lo_from_bytea", "lo_put", "lo_unlink", "lo_get",
  "lo_open", "lo_close", "loread", "lowrite", "pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size",
  "pg_database_size", "suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column" }

--- Extensions whose functions compute, or draw random numbers.
local COMPUTING = { "citext", "ltree", "hstore", "pg_trgm", "pgcrypto", "uuid-ossp", "intarray", "unaccent", "btree_gist", "btree_gin",
  "cube", "earthdistance", "fuzzystrmatch", "isn", "seg", "plpgsql" }

--- The schema's functions, with the aggregates' steps, and those of the server that are not known to stay within.
local FUNCTIONS = [[
  select p.oid::text as oid, p.proname::text as name, format('%I.%I', n.nspname, p.proname) as label, l.lanname::text as language,
         p.prokind::text as kind, n.nspname = 'pg_catalog' as of_server,
         concat_ws(' ', {body p}, pg_get_expr(p.proargdefaults, 0), array_to_string(p.proconfig, ' ')) as body,
         exists (select from pg_depend d join pg_extension x on x.oid = d.refobjid where d.classid = 'pg_proc'::regclass and d.objid = p.oid
           and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and x.extname = any($2)) as computes,
         (select array[a.aggtransfn::oid::text, a.aggfinalfn::oid::text, a.aggcombinefn::oid::text, a.aggmtransfn::oid::text,
                       a.aggminvtransfn::oid::text, a.aggmfinalfn::oid::text] from pg_aggregate a where a.aggfnoid = p.oid) as steps
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
   where (n.nspname = 'pg_catalog' and (p.provolatile = 'v' or p.proname ~ '_to_xml') and p.proname <> all($1)
           and p.prorettype <> 'trigger'::regtype)
      or (n.nspname !~ '^pg_' and n.nspname <> 'information_schema')]]

local OPERATORS = [[
  select o.oprname::text as name, o.oprcode::oid::text as func from pg_operator o where o.oid >= 16384]]

--- What is called without a name: casts, checks of domains, and the support of indexes and ranges; event triggers where tables are made.
local NAMELESS = [[
  select castfunc::text as func, null as text, false as event from pg_cast where oid >= 16384 and castfunc <> 0
  union all select null, pg_get_constraintdef(k.oid), false from pg_constraint k join pg_namespace n on n.oid = k.connamespace
   where k.contypid <> 0 and n.nspname <> 'information_schema'
  union all select null, typdefault, false from pg_type where typtype = 'd' and oid >= 16384 and typdefault is not null
  union all select evtfoid::text, null, true from pg_event_trigger where evtenabled <> 'D'
  union all select amproc::oid::text, null, false from pg_amproc where oid >= 16384
  union all select o.oprcode::oid::text, null, false from pg_amop a join pg_operator o on o.oid = a.amopopr where a.oid >= 16384
  union all select rngsubdiff::oid::text, null, false from pg_range where rngtypid >= 16384 and rngsubdiff <> 0]]

local RELATIONS = [[
  select c.oid::text as oid, c.relname::text as name, format('%I.%I', n.nspname, c.relname) as label, c.relkind::text as kind
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema']]

--- What happens where a relation is read or written to: texts, and the relations that are reached without a name.
local REACHED = [[
  select c.oid::text as oid, concat_ws(' ', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
      (select string_agg(pg_get_ruledef(r.oid), ' ') from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN'),
      (select string_agg(pg_get_triggerdef(t.oid), ' ') from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal),
      (select string_agg(pg_get_constraintdef(k.oid), ' ') from pg_constraint k where k.conrelid = c.oid and k.contype in ('c', 'x')),
      (select string_agg(pg_get_expr(d.adbin, d.adrelid), ' ') from pg_attrdef d where d.adrelid = c.oid),
      (select string_agg(concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), ' ')
         from pg_policy p where p.polrelid = c.oid),
      (select string_agg(pg_get_indexdef(i.indexrelid), ' ') from pg_index i
        where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)),
      case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end) as text,
    array(select k.conrelid::text from pg_constraint k where k.confrelid = c.oid union select i.inhrelid::text from pg_inherits i
      where i.inhparent = c.oid) as others
    from unnest($1::oid[]) r(oid) join pg_class c on c.oid = r.oid]]

--- Names by their words: those of which each is one word, and the others.
local function index_of(rows)
  local by_name, odd = {}, {}
  for _, row in ipairs(rows) do
    local name = row.name:lower()
    if not by_name[name] and not name:find "^[%w_$\x80-\xff]+$" then odd[#odd + 1] = name end
    by_name[name] = by_name[name] or {}
    table.insert(by_name[name], row)
  end
  return { by_name = by_name, odd = odd }
end

--- Those of an index that a text may name, each once.
local function named(text, index)
  local out, seen = {}, {}
  local function add(name)
    if seen[name] then return end
    seen[name] = true
    for _, row in ipairs(index.by_name[name] or {}) do out[#out + 1] = row end
  end
  for word in text:gmatch "[%w_$\x80-\xff]+" do add(word) end
  for _, name in ipairs(index.odd) do
    if text:find(name, 1, true) or text:find((name:gsub('"', '""')), 1, true) then add(name) end
  end
  return out
end

--- The word by which a text, in lower case, reaches further.
local function further(text)
  for _, pattern in ipairs(REACHES_FURTHER) do
    local found = text:match("%f[%w_]" .. pattern)
    if found then return found end
  end
  return nil
end

--- What the configuration lets be called of which nobody can tell: all that does not say itself that it reaches further.
local Any = {}
Any.__index = Any

function Any.refused(_, f)
  if f.language ~= "sql" and f.language ~= "plpgsql" then return "it is written in " .. f.language end
  local word = further((f.body or ""):lower())
  return word and ("its text reaches beyond its transaction: it has the word %s"):format(word) or nil
end

--- Reads what any function may lead to, once.
---@param conn table  the admin's
---@param settings table  config.database
---@return rls.Confined
function confined.new(conn, settings)
  if (settings.probe or {}).calls == "any" then return setmetatable({}, Any) end
  local functions = conn:query(dialect.of(conn, FUNCTIONS), arrays.text(WITHIN), arrays.text(COMPUTING))
  local self = setmetatable({ conn = conn, functions = index_of(functions), relations = index_of(conn:query(RELATIONS)),
    operators = conn:query(OPERATORS), nameless = conn:query(NAMELESS), by_oid = {}, reached = {}, relation = {} }, Confined)
  for _, f in ipairs(functions) do self.by_oid[f.oid] = f end
  for _, list in pairs(self.relations.by_name) do
    for _, r in ipairs(list) do self.relation[r.oid] = r end
  end
  return self
end

--- The end of a string constant that begins at a place; nil where none does, or one with escapes.
local function constant_end(text, at)
  local tag = text:match("^%$[%w_]*%$", at)
  if tag then return (select(2, text:find(tag, at + #tag, true))) end
  if text:sub(at, at) ~= "'" then return nil end
  local close = at
  repeat
    close = text:find("'", close + 1, true)
    local doubled = close and text:sub(close + 1, close + 1) == "'"
    if doubled then close = close + 1 end
  until not doubled
  return close
end

--- The arguments between parentheses, as far as they are split by commas of their own level.
local function arguments(text)
  local out, at, first = {}, 2, 2
  while at < #text do
    local c = text:sub(at, at)
    local close = constant_end(text, at) or (c == "(" and select(2, text:find("^%b()", at)))
    if c == "," then out[#out + 1], first = text:sub(first, at - 1):match "^%s*(.-)%s*$", at + 1 end
    at = (close or at) + 1
  end
  out[#out + 1] = text:sub(first, #text - 1):match "^%s*(.-)%s*$"
  return out
end

--- Does format() put nothing into its constant but quoted literals, and names that are constants? What it says is then known.
local function formats(text, at)
  local list = text:match("^format%s*(%b())", at)
  local args = list and arguments(list)
  local template = args and constant_end(args[1], 1) == #args[1] and args[1]
  if not template then return nil end
  local i = 1
  for before, what, after in (" " .. template:sub(2, -2) .. " "):gsub("%%%%", "  "):gmatch "(.)%%(.)(.?)" do
    i = i + 1
    local alone = not before:find "[%w_\"'$&]" and not after:find "[%w_\"'$&]"
    local name = what == "i" and (args[i] or ""):find "^'[%w_]+'$"
    if not (alone and (what == "l" or name)) then return nil end
  end
  return at + #text:match("^format%s*%b()", at) - 1
end

local GOES_ON = { into = true, using = true, loop = true, strict = true }

--- Is EXECUTE given anything but one constant as it is? What it makes is not known before it runs.
local function executes(text, format)
  local at = 1
  while true do
    local _, last = text:find("%f[%w_]execute%f[^%w_]%s*", at)
    if not last then return false end
    local close = constant_end(text, last + 1) or (not format and formats(text, last + 1))
    local rest = close and text:match("^%s*(;?%l*)", close + 1)
    if not rest or not (rest:sub(1, 1) == ";" or GOES_ON[rest]) then return true end
    at = close + 1
  end
end

--- What a function's own text reaches that its transaction does not undo; nil where nothing is seen.
---@param format any  is there a function of that name beside the server's?
local function written(f, format)
  if f.of_server then return "which is not known to stay within its transaction" end
  if f.language ~= "sql" and f.language ~= "plpgsql" then return "which is written in " .. f.language end
  local text = (f.body or ""):lower()
  local word = further(text)
  if word then return ("whose text reaches beyond its transaction: it has the word %s"):format(word) end
  if text:find("u&", 1, true) then return "whose text has names or strings in Unicode escapes" end
  if text:find "%f[%w_]do%s*[%$'%%]" or text:find "%f[%w_]do%s+e'" then return "whose text has a DO block" end
  if executes(text, format) then return "whose text EXECUTEs what is made at run time" end
  return nil
end

--- The texts of relations and what they lead to, read together for those that are new.
function Confined:read(list)
  local oids = {}
  for _, r in ipairs(list) do
    if not self.reached[r.oid] then oids[#oids + 1] = r.oid end
  end
  if #oids == 0 then return end
  for _, row in ipairs(self.conn:query(REACHED, arrays.text(oids))) do self.reached[row.oid] = row end
end

--- What a text leads to: functions and relations, into the lists of what is still to be looked at.
function Confined:follow(text, functions, relations)
  text = text:lower()
  for _, f in ipairs(named(text, self.functions)) do functions[#functions + 1] = f end
  for _, r in ipairs(named(text, self.relations)) do relations[#relations + 1] = r end
  for _, o in ipairs(self.operators) do
    if text:find(o.name, 1, true) then functions[#functions + 1] = self.by_oid[o.func] end
  end
end

--- Words of statements that fire event triggers; in SQL SELECT … INTO makes a table.
local DEFINES = { "create", "alter", "drop", "grant", "revoke", "comment", "refresh", "reindex", "security", "import" }

--- Adds the functions of event triggers, where a function's text may fire them.
function Confined:events(f, functions)
  local text, fires = (f.body or ""):lower(), false
  for _, word in ipairs(DEFINES) do fires = fires or text:find("%f[%w_]" .. word .. "%f[^%w_]") ~= nil end
  fires = fires or (f.language == "sql" and text:find "%f[%w_]into%f[^%w_]" ~= nil)
  for _, row in ipairs(fires and self.nameless or {}) do
    functions[#functions + 1] = row.event and self.by_oid[row.func] or nil
  end
end

--- Looks at the functions of a list, and appends what they lead to. The first that does not stay within, and why.
function Confined:refused_of(functions, relations, seen)
  local i = 1
  while functions[i] do
    local g = functions[i]
    if not seen[g.oid] and not g.computes then
      seen[g.oid] = true
      local steps = g.kind == "a" and g.steps or nil
      local why = not steps and written(g, self.functions.by_name.format)
      if why then return g, why end
      for _, oid in ipairs(steps or {}) do functions[#functions + 1] = self.by_oid[oid] end
      if not steps then
        self:follow(g.body or "", functions, relations)
        self:events(g, functions)
      end
    end
    i = i + 1
  end
  return nil
end

--- Why a function may not be called; nil where all that it does is undone with its transaction.
---@param f table  of rls.Model.functions
---@return string?
function Confined:refused(f)
  local own = written(f, self.functions.by_name.format)
  if own then return (own:gsub("^which is", "it is"):gsub("^whose", "its")) end
  local functions, relations, seen = {}, {}, {}
  for _, row in ipairs(self.nameless) do
    if row.text then self:follow(row.text, functions, relations) end
    functions[#functions + 1] = not row.event and row.func and self.by_oid[row.func] or nil
  end
  self:events(f, functions)
  self:follow(table.concat(f.config or {}, " ") .. " " .. (f.body or ""), functions, relations)
  local first = 1
  repeat
    local g, why = self:refused_of(functions, relations, seen)
    if g then return ("it may lead to %s, %s"):format(g.label, why) end
    functions = {}
    local list = {}
    for i = first, #relations do
      local r = relations[i]
      if not seen[r.oid] then
        seen[r.oid] = true
        if r.kind == "f" then return ("it may lead to the foreign table %s"):format(r.label) end
        list[#list + 1] = r
      end
    end
    first = #relations + 1
    self:read(list)
    for _, r in ipairs(list) do
      local reached = self.reached[r.oid]
      if reached then
        if reached.text:lower():find "%f[%w_]notify%f[^%w_]" then return ("it may lead to %s, a rule of which notifies"):format(r.label) end
        self:follow(reached.text, functions, relations)
        for _, oid in ipairs(reached.others) do relations[#relations + 1] = self.relation[oid] end
      end
    end
  until #functions == 0 and first > #relations
  return nil
end

return confined
