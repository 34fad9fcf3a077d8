--- Sessions of no tenant, and sessions that set something else than their tenant.
--
-- Without a tenant, with an empty one and with one that is none, a session may see what every tenant sees (rows marked as public, say),
-- and no row more. A third tenant, who has no row, tells how much that is.
local catalogue = require "rls.catalogue"
local dialect = require "rls.dialect"
local json = require "json"
local state = require "rls.probe_state"

local probe_context = {}

--- Most settings that are tried for one table.
local MOST = 40

local function canaries(s, t)
  return ("select 1 from %s where (%s) or (%s) limit 5"):format(t.sql, s:shown_by(t, s.a), s:shown_by(t, s.b))
end

local function any_rows(t) return ("select 1 from %s limit 1000"):format(t.sql) end

--- How many rows a tenant without rows sees.
local function everybodys(s, t)
  if not s.everybodys[t.oid] then
    local out = s.c and s:ask(t, { q = any_rows(t), s = s.session:of(s.c.key) })
    s.everybodys[t.oid] = out and out.ok and out.affected or math.huge
  end
  return s.everybodys[t.oid]
end

local function judge(s, t, out, what, pairs_)
  -- Types of extensions say 42601 of a text that is none of theirs (ltree).
  local said = out.err and out.err.sqlstate
  local refused = state.denied(out) or state.class_of(out) == "22" or said == "42704" or said == "42601"
  if not out.ok and not refused then
    s:broken(t, ("select with the tenant setting %s: %s"):format(what, out.err.message))
  elseif out.ok and out.affected > 0 then
    s:leak(t, "select", ("rows are visible with the tenant setting %s"):format(what), ("select * from %s limit 5"):format(t.sql), pairs_)
  end
end

local function first_look(s, t, pairs_) return { q = s:is_small(t) and any_rows(t) or canaries(s, t), s = pairs_ } end

--- Is a canary visible? Of a small table all rows are asked for first: where none is, there is no canary either.
---@param first rls.Outcome?  of first_look, where it was asked already
---@return integer? rows  that are visible, none of them a canary
local function look(s, t, what, pairs_, first)
  local small = s:is_small(t)
  if small and state.is_open(t, "SELECT") then
    -- Most likely there is one.
    local found = s:ask(t, { q = canaries(s, t), s = pairs_ })
    if found.ok and found.affected > 0 then
      judge(s, t, found, what, pairs_ or {})
      return nil
    end
  end
  local out = first or s:ask(t, first_look(s, t, pairs_))
  if not (small and out.ok and out.affected > 0) then
    judge(s, t, out, what, pairs_ or {})
    return nil
  end
  local found = s:ask(t, { q = canaries(s, t), s = pairs_ })
  judge(s, t, found, what, pairs_ or {})
  return found.ok and found.affected == 0 and out.affected or nil
end

--- Why nobody knows what shows without a tenant, and the ways out.
local function untried(s, t)
  local why = s.refusals[t.oid] or "database.admin is no superuser and has no BYPASSRLS"
  local ways = { s.admin_bound and "let database.admin be a superuser or a role with BYPASSRLS"
    or "let database.admin be a superuser, who makes canaries without triggers" }
  local reason = t.reasons and t.reasons.SELECT
  if reason and reason:find "^search_path" then
    ways[2] = "fix what the function finds its names in (ALTER FUNCTION … SET search_path = pg_catalog, pg_temp), which lets a proof do"
  else
    ways[2] = "let the policies compare the tenant column with the tenant setting and nothing else"
  end
  return ("select without a tenant setting could not be tried, since the canaries need one set (%s), and no proof stands in%s; %s, or %s")
    :format(why, reason and ": " .. reason or "", ways[1], ways[2])
end

--- Nothing is set: this must come before the first set_config of the session, after which the setting reads '' even when it was rolled
--- back. Where the canaries needed the setting, the form of the policies must answer instead.
---@param s rls.State
---@param t rls.Table
function probe_context.absent(s, t)
  if catalogue.nobody_may(t, "select") then return end
  if s.bound then
    local refuted = t.decided and t.decided.SELECT == "counterexample"
    if not (s.looked[t.oid] or refuted or catalogue.proven(t, s.settings, "SELECT")) then s:broken(t, untried(s, t)) end
    return
  end
  s.unset[t.oid] = look(s, t, "absent", nil)
end

--- A tenant setting with which no row may be seen that a tenant without rows does not see.
local function with_setting(s, t, what, pairs_, first)
  local rows = look(s, t, what, pairs_, first)
  if rows and rows > everybodys(s, t) then judge(s, t, { ok = true, affected = rows }, what, pairs_) end
end

--- Empty, malformed and default tenants; and what was seen without any.
---@param s rls.State
---@param t rls.Table
function probe_context.malformed(s, t)
  if catalogue.nobody_may(t, "select") then return end
  if s.unset[t.oid] and s.unset[t.oid] > everybodys(s, t) then
    judge(s, t, { ok = true, affected = s.unset[t.oid] }, "absent", {})
  end
  -- What the prover proves holds whatever the setting is. Where it is empty a mistake of the prover's would cost most.
  local cases = { { "", "empty" }, { "not a tenant", "malformed" }, { "%", "a pattern" } }
  local few = catalogue.proven(t, s.settings, "SELECT") and { cases[1] } or cases
  local asked, first = {}, {}
  for i, case in ipairs(few) do asked[i] = first_look(s, t, s.session:malformed(case[1])) end
  if not s:leaks(t, "select") and not state.is_open(t, "SELECT") then first = s:ask_all(t, asked) end
  for i, case in ipairs(few) do
    if not s:leaks(t, "select") then with_setting(s, t, case[2], asked[i].s, first[i]) end
  end
  for _, default in ipairs(s.defaults) do
    if not s:leaks(t, "select") then with_setting(s, t, "at its default of " .. default.whose, default.pairs) end
  end
end

-- Settings other than the tenant's.

--- The texts of the permissive policies that apply.
local function texts_of(t)
  local out = {}
  for _, p in ipairs(t.policies) do
    for _, text in ipairs(p.permissive and p.applies and { p.using or "", p.check or "" } or {}) do
      if text ~= "" then out[#out + 1] = text end
    end
  end
  return out
end

--- A text with the bodies of the functions it calls.
local function follow(s, text, depth)
  for name, body in pairs(depth < 4 and s.functions or {}) do
    if text:find("%f[%w_]" .. name .. "%f[^%w_]%s*%(") then
      text = text .. " " .. body
      text = follow(s, body, depth + 1):sub(1, 20000) .. " " .. text
    end
  end
  return text
end

--- The settings and the other literals an expression speaks of. The tenant's, and those that the platform alone sets, are no way in.
local function read(s, expression, resting)
  local settings, literals, pairwise, last = {}, { ["true"] = true, on = true, ["1"] = true, [s.b.key] = true }, {}, nil
  for text in expression:gmatch "'([^']*)'" do
    local escaped = text:gsub("%p", "%%%0")
    if expression:find("current_setting%s*%(%s*'" .. escaped .. "'") then
      local entry = s.trust[text:lower()]
      if entry then resting[entry] = true end
      last = not (entry or s.tenant_settings[text:lower()]) and text or nil
      if last then settings[#settings + 1] = last end
    else
      literals[text] = true
      if last then pairwise[last] = pairwise[last] or text end
    end
  end
  return settings, literals, pairwise
end

--- Does a part of the tenant's document say whose the session is, itself or in a list?
local function states_tenant(value)
  if type(value) == "string" then return value:find("{id}", 1, true) ~= nil end
  for _, inner in pairs(type(value) == "table" and value or {}) do
    if states_tenant(inner) then return true end
  end
  return false
end

--- The paths to members of documents that an expression speaks of, as it is printed: each a list of keys.
local function paths_of(expression)
  local out, path, last = {}, nil, 0
  for from, key, to in expression:gmatch "()%->>?%s*'([^']*)'()" do
    local goes_on = path and expression:sub(last, from - 1):find "^[:%a%s)]*$"
    path = goes_on and { table.unpack(path) } or {}
    path[#path + 1], last = key, to
    out[#out + 1] = path
  end
  return out
end

--- A copy of a document with another value at a path; objects are made on the way.
local function with_member(document, path, value, at)
  local copy = {}
  for k, v in pairs(type(document) == "table" and not json.is_array(document) and document or {}) do copy[k] = v end
  copy[path[at]] = at == #path and value or with_member(copy[path[at]], path, value, at + 1)
  return copy
end

--- What to put in the place of a member, for a literal of the expression: it, a list of it, and what it says as JSON.
local function values_of(literal, own, lists)
  local out = { literal }
  if lists or json.is_array(own) then out[2] = json.array { literal } end
  local ok, value = pcall(json.decode, literal)
  if ok and type(value) == "table" then out[#out + 1] = value end
  return out
end

--- Members of the tenant's JSON document other than the tenant's id. One that lists ids is never given another tenant's.
local function documents(s, expression, literals, add)
  local ok, document = pcall(json.decode, s.axis.value)
  if not ok or type(document) ~= "table" then return end
  local lists = expression:find("_array_elements", 1, true) or expression:find("@>", 1, true)
  for _, path in ipairs(paths_of(expression)) do
    local own = document
    for _, key in ipairs(path) do own = type(own) == "table" and not json.is_array(own) and own[key] or nil end
    local states = states_tenant(own)
    for literal in pairs(not (states and type(own) == "string") and literals or {}) do
      for _, value in ipairs(not (states and literal == s.b.key) and values_of(literal, own, lists) or {}) do
        local text = json.encode(with_member(document, path, value, 1)):gsub("{id}", function() return s.a.key end)
        local shown = json.encode(value):gsub(s.b.key:gsub("%p", "%%%0"), "<tenant B>")
        add({ { s.axis.setting, text } }, ("%s = %s within %s"):format(table.concat(path, "."), shown, s.axis.setting))
      end
    end
  end
end

local function describe(case, s)
  local parts = {}
  for name, value in pairs(case) do parts[#parts + 1] = ("%s = %q"):format(name, value == s.b.key and "<tenant B>" or value) end
  table.sort(parts)
  return table.concat(parts, " and ")
end

--- The other tenant's key first, which most often is what opens: what a table is known to leak is not tried again.
local function in_order(s, literals)
  local out = {}
  for literal in pairs(literals) do out[#out + 1] = literal end
  table.sort(out, function(x, y)
    if (x == s.b.key) ~= (y == s.b.key) then return x == s.b.key end
    return x < y
  end)
  return out
end

--- Settings that policies test: the application may set each of them to what the policy wants to hear. resting: the entries of trust
--- whose settings they test.
local function cases_of(s, texts)
  local list, seen, resting = {}, {}, {}
  local function add(pairs_, text)
    if not seen[text] and #list < MOST then
      seen[text] = true
      list[#list + 1] = { pairs = pairs_, text = text }
    end
  end
  local function add_case(case)
    local pairs_ = {}
    for name, value in pairs(case) do pairs_[#pairs_ + 1] = { name, value } end
    add(pairs_, describe(case, s))
  end
  for _, text in ipairs(texts) do
    local expression = follow(s, text, 1)
    local settings, literals, pairwise = read(s, expression, resting)
    if next(pairwise) then add_case(pairwise) end
    for _, name in ipairs(settings) do add_case { [name] = "" } end
    for _, literal in ipairs(#settings > 0 and in_order(s, literals) or {}) do
      local case = {}
      for _, name in ipairs(settings) do
        case[name] = literal
        add_case { [name] = literal }
      end
      add_case(case)
    end
    documents(s, expression, literals, add)
  end
  return { list = list, resting = resting }
end

--- The cases of a table. Many tables have the same policies.
local function escapes(s, t)
  local texts = texts_of(t)
  local key = table.concat(texts, "\0")
  s.escapes[key] = s.escapes[key] or cases_of(s, texts)
  for entry in pairs(s.escapes[key].resting) do
    s.covers[entry] = s.covers[entry] or {}
    s.covers[entry][t.label] = true
  end
  return s.escapes[key].list
end

--- Writes are blind, where the table is small: with WHERE the SELECT policy would apply to them too.
local function forms_of(s, t)
  local small, where = s:is_small(t), s:shown_by(t, s.b)
  local column, literal = s:update_column(t)
  return { select = ("select 1 from %s where %s limit 5"):format(t.sql, where),
    insert = s.inserts[t.oid] and s.inserts[t.oid].b,
    update = column and ("update %s set %s = %s%s"):format(t.sql, column, literal(s.a), small and "" or " where " .. where),
    delete = "delete from " .. t.sql .. (small and "" or " where " .. where) }, small and s.owned[t.oid] or 0
end

--- With other settings than the tenant's at what a policy tests, B's rows must stay as far away.
---@param s rls.State
---@param t rls.Table
function probe_context.escapes(s, t)
  local cases = escapes(s, t)
  if #cases == 0 then return end
  local forms, own = forms_of(s, t)
  local known = {}
  for _, l in ipairs(state.result(s.results, t).leaks) do known[l.op] = true end
  for _, case in ipairs(cases) do
    for _, op in ipairs { "select", "update", "delete", "insert" } do
      if forms[op] and not known[op] and not catalogue.nobody_may(t, op) then
        local out = s:ask(t, { q = forms[op], s = case.pairs })
        local allowed = (op == "update" or op == "delete") and own or 0
        -- The own rows' children may be the reason of an error: a third tenant, who has none, asks again.
        if not out.ok and allowed > 0 and s.c then
          local pairs_ = s.session:of(s.c.key)
          for _, p in ipairs(case.pairs) do
            if p[1] ~= s.axis.setting then pairs_[#pairs_ + 1] = p end
          end
          out, allowed = s:ask(t, { q = forms[op], s = pairs_ }), 0
        end
        if (out.ok and out.affected > allowed) or (state.class_of(out) == "23" and op ~= "select") then
          local all = s.session:of "<tenant A>"
          for _, p in ipairs(case.pairs) do all[#all + 1] = p end
          local stopped = out.ok and "" or "; only a constraint stops it: " .. out.err.message
          -- How many rows a blind write reached does not say whose they were.
          local changes = out.ok and (op == "update" or op == "delete")
          s:leak(t, op, ("%s reaches another tenant's rows once the application sets %s%s"):format(op, case.text, stopped), forms[op], all,
            changes)
          known[op] = true
        end
      end
    end
  end
end

local FUNCTIONS = [[
  select p.proname as name, string_agg({body p}, ' ') as body
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
   where l.lanname in ('sql', 'plpgsql') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind = 'f'
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
   group by 1]]

--- Functions whose bodies speak of settings, or call those that do, by name.
---@param conn table
---@return table<string, string> bodies
function probe_context.functions(conn)
  local out = {}
  for _, f in ipairs(conn:query(dialect.of(conn, FUNCTIONS))) do
    if f.name:find "^[%w_]+$" then out[f.name] = f.body end
  end
  return out
end

--- What the application's role, or the database, has the tenant's setting at by default.
---@param conn table
---@param role string
---@param axis rls.Axis
---@return {whose: string, pairs: string[][]}[]
function probe_context.defaults(conn, role, axis)
  local out = {}
  for _, row in ipairs(conn:query([[
      select case when s.setrole = 0 then 'the database' else 'the role ' || $1 end as whose, split_part(c, '=', 1) as name,
             substr(c, strpos(c, '=') + 1) as value
        from pg_db_role_setting s cross join unnest(s.setconfig) c
       where s.setrole in (0, (select oid from pg_roles where rolname = $1))
         and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))]], role)) do
    if row.name:lower() == axis.setting:lower() then
      out[#out + 1] = { whose = row.whose, pairs = { { axis.setting, row.value } } }
    end
  end
  return out
end

return probe_context
