--- Derives a configuration from a database's catalogue, for `gate-engine init`: tenant column and setting from what policies compare, the
--- application's role from grants, proposals for shared tables from who may write. Only the catalogue is read.
local dialect = require "rls.dialect"
local errors = require "internal.raise"
local json = require "engine.json"
local axes = require "internal.init_axes"
local write = require "internal.init_text"

local USER_SCHEMAS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"

local TABLES = [[
  select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relrowsecurity as rls, pg_get_userbyid(c.relowner) as owner,
         array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                order by a.attnum) as columns,
         array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
                 and not a.atthasdef and a.attidentity = '' order by a.attnum) as needed
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and not c.relispartition and ]]
  .. USER_SCHEMAS .. " order by 2, 3"

local FOREIGN_KEYS = [[
  select c.conrelid::text as oid, c.confrelid::text as ref, (select a.attname from pg_attribute a
           where a.attrelid = c.conrelid and a.attnum = c.conkey[1]) as column, cardinality(c.conkey) as n,
         (select a.attname from pg_attribute a where a.attrelid = c.confrelid and a.attnum = c.confkey[1]) as ref_column
    from pg_constraint c where c.contype = 'f']]

--- Who may work with tenants' tables without being their owner.
local ROLES = [[
  select r.rolname::text as name, r.rolcanlogin as login, r.rolbypassrls as bypass,
         count(*) filter (where has_table_privilege(r.oid, t.oid::oid, 'SELECT')) as reads,
         count(*) filter (where has_table_privilege(r.oid, t.oid::oid, 'INSERT, UPDATE, DELETE')) as writes,
         count(*) filter (where pg_has_role(r.oid, c.relowner, {become})) as owns
    from pg_roles r cross join unnest($1::text[]) t(oid) join pg_class c on c.oid = t.oid::oid
   where not r.rolsuper and r.rolname !~ '^pg_' and r.rolname <> current_user group by r.rolname, r.rolcanlogin, r.rolbypassrls]]

--- Columns that canaries cannot be given a value for by their type alone, and what may refuse a row.
local HARD = [[
  select c.oid::text as oid, string_agg(distinct why, ', ' order by why) as why
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select format('column %s of type %s', a.attname, format_type(a.atttypid, a.atttypmod)) as why
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
         and not a.atthasdef and a.attidentity = '' and (t.typtype = 'c' or t.typcategory in ('G', 'X')
           or (t.typcategory = 'U' and t.typname not in ('uuid', 'json', 'jsonb', 'bytea', 'xml', 'tsvector', 'macaddr')))
      union all select format('exclusion constraint %s', conname) from pg_constraint where conrelid = c.oid and contype = 'x'
      union all select format('trigger %s', tgname) from pg_trigger where tgrelid = c.oid and not tgisinternal and tgtype & 7 = 7) w
   where ]] .. USER_SCHEMAS .. " group by c.oid"

--- The key with the highest count; of equal ones the first by name.
local function most(counts)
  local best
  for key, n in pairs(counts) do
    if not best or n > counts[best] or (n == counts[best] and key < best) then best = key end
  end
  return best
end

local function bump(counts, key) counts[key] = (counts[key] or 0) + 1 end

local function has(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

--- Has the table the column of one of the axes?
local function has_axis(t, list)
  for _, axis in ipairs(list) do
    if has(t.columns, axis.column) then return true end
  end
  return false
end

--- The application: named by policies first, then who logs in, then who may do most.
local function application(conn, scoped, policies)
  local named, oids = {}, {}
  for _, p in ipairs(policies) do
    for _, r in ipairs(p.roles or {}) do bump(named, r) end
  end
  for i, t in ipairs(scoped) do oids[i] = t.oid end
  local best, candidates = nil, {}
  for _, r in ipairs(conn:query(dialect.of(conn, ROLES), require("engine.db").array(oids, "text"))) do
    if r.reads + r.writes > 0 then
      r.rank = (named[r.name] or 0) * 1000 + (r.owns == 0 and 400 or 0) + (r.bypass and 0 or 200) + (r.login and 100 or 0)
        + math.min(90, r.reads + r.writes)
      candidates[#candidates + 1] = r.name
      if not best or r.rank > best.rank or (r.rank == best.rank and r.name < best.name) then best = r end
    end
  end
  table.sort(candidates)
  return best and best.name, candidates
end

--- The table of the tenants of an axis: most foreign keys on its column lead there.
local function registry_of(keys, by_oid, column)
  local counts = {}
  for _, k in ipairs(keys) do
    if k.n == 1 and k.column == column and by_oid[k.ref] then bump(counts, k.ref) end
  end
  return most(counts)
end

--- Tables that are nobody's: neither a tenant column nor a foreign key to a table of tenants. Each axis gets its registry.
local function sort_out(conn, tables, by_oid, list)
  local keys, roots, scoped, others = conn:query(FOREIGN_KEYS), {}, {}, {}
  for _, axis in ipairs(list) do
    local root = registry_of(keys, by_oid, axis.column)
    if root then roots[root], axis.registry = true, by_oid[root] end
    for _, t in ipairs(tables) do t.scoped = t.scoped or has(t.columns, axis.column) end
  end
  -- What refers to the tenants' own table is a tenant's, whatever its column is called.
  for _, k in ipairs(keys) do
    local t = by_oid[k.oid]
    if t and k.n == 1 and roots[k.ref] and k.oid ~= k.ref then
      t.scoped, t.refers = true, t.refers or not has(t.columns, list[1].column) and k.column or nil
    end
  end
  local changed = true
  while changed do
    changed = false
    for _, k in ipairs(keys) do
      local t, parent = by_oid[k.oid], by_oid[k.ref]
      if t and parent and not t.scoped and parent.scoped and not roots[k.ref] and t ~= parent then
        t.scoped, changed = true, true
      end
    end
  end
  for _, t in ipairs(tables) do
    if roots[t.oid] or t.scoped then scoped[#scoped + 1] = t else others[#others + 1] = t end
  end
  return scoped, others
end

--- What is nobody's by its columns and keys: what the application only reads may be everybody's, and it is for a person to say so. That it
--- is only read is no proof: a copy of tenants' rows made for a report is read, too.
local function split_shared(conn, others, app)
  local shared, undecided = {}, {}
  for _, t in ipairs(others) do
    local row = app and conn:row([[select has_table_privilege($1, $2::oid, 'SELECT') as reads,
      has_table_privilege($1, $2::oid, 'INSERT, UPDATE, DELETE') as writes]], app, t.oid)
    if row and row.writes then
      undecided[#undecided + 1] = t
    elseif row and row.reads then
      shared[#shared + 1] = t
    end
  end
  return shared, undecided
end

--- Rows that policies of other tables ask for, a membership for one: they have the tenant where it is who the session is, and what they
--- refer to by that has it as its key.
local function add_asked(conn, scoped, by_oid, list, hard, stubs)
  local keys, asked, made = conn:query(FOREIGN_KEYS), axes.asked(conn, scoped, by_oid), {}
  local function add(t, why, given)
    if made[t] then return end
    made[t] = true
    stubs[#stubs + 1] = { t = t, why = why, given = given }
  end
  for _, t in ipairs(scoped) do
    local by = has_axis(t, list) and asked[t]
    if by then
      for _, k in ipairs(keys) do
        local parent = k.oid == t.oid and k.n == 1 and by.session[k.column] and by_oid[k.ref]
        if parent and not has(list[1].registry and { list[1].registry } or {}, parent) then
          add(parent, ("%s.%s refers to it by %s"):format(t.schema, t.name, k.column), { [k.ref_column] = true })
        end
      end
      add(t, ("policies of %s.%s ask for a row of it"):format(by.by.schema, by.by.name) .. (hard[t.oid] and ", " .. hard[t.oid] or ""),
        by.session)
    end
  end
  for _, t in ipairs(scoped) do
    if hard[t.oid] then add(t, hard[t.oid]) end
  end
end

---@return {text: string, notes: string[]}
return function(ctx, job)
  local conn = ctx.db.admin
  local tables, by_oid = conn:query(TABLES), {}
  for _, t in ipairs(tables) do by_oid[t.oid] = t end
  local policies, named = axes.policies(conn), {}
  for _, p in ipairs(policies) do named[#named + 1] = by_oid[p.oid] end
  local list, sure = axes.find(conn, tables, by_oid, policies, (application(conn, named, policies)),
    conn:value "select current_date::text")
  if not list[1] then
    errors.raise { code = "init_no_tenant",
      message = "nothing in the catalogue says whose a row is: no policy reads a setting, no table has a usual tenant column",
      detail = #tables == 0 and "the role sees no table at all" or ("tables seen: %d"):format(#tables),
      fix = "check the database and the role of --url, or start from examples/configs/external.conf.lua" }
  end
  local scoped, others = sort_out(conn, tables, by_oid, list)
  local app, candidates = application(conn, scoped, policies)
  local shared, undecided = split_shared(conn, others, app)
  local hard, stubs = {}, {}
  for _, h in ipairs(conn:query(HARD)) do hard[h.oid] = h.why end
  add_asked(conn, scoped, by_oid, list, hard, stubs)
  local found = { axes = list, sure = sure, app = app, candidates = candidates, scoped = scoped, shared = shared, undecided = undecided,
    stubs = stubs,
    url = job.input.url,
    me = conn:row "select rolname::text as name, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = current_user",
    server = conn:value "select current_setting('server_version')", database = conn:value "select current_database()" }
  return { text = write.config(found), notes = json.array(write.notes(found)) }
end
