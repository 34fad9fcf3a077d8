--- SQL that makes the probe's canaries again, for texts to reproduce: what the probe saw is gone with its transaction.
--
-- Only a superuser may leave foreign keys and triggers aside (session_replication_role), as the reports say of every such text.
local json = require "json"
local mentions = require "rls.mentions"
local names = require "rls.names"

local planted = {}

--- Most tables of which all canaries are made where a policy calls a function, which may look at any of them.
local MOST = 20

--- The tables whose rows a statement on one of the given needs: those that foreign keys lead to, and those that policies name.
local function closure(state, tables)
  local list, seen, there = {}, {}, nil
  local function planted_tables()
    if there then return there end
    there = {}
    for oid in pairs(state.maker.rows[state.b.key] or {}) do there[#there + 1] = state.maker.by_oid[oid] end
    return there
  end
  local function add(t)
    if not t or seen[t.oid] then return end
    seen[t.oid] = true
    if t.kind == "r" or t.kind == "p" then list[#list + 1] = t end
    for _, fk in ipairs(t.foreign_keys or {}) do add(state.maker.by_oid[fk.ref]) end
    for _, read in ipairs(t.reads or {}) do add(read) end
    for _, p in ipairs(t.policies or {}) do
      local text = ((p.using or "") .. " " .. (p.check or "")):lower()
      -- Functions of the user's are printed with their schemas.
      local calls = text:find '[%w_"]%.[%w_"]+%('
      local looks = calls or text:find("select", 1, true)
      calls = calls and #planted_tables() <= MOST
      for _, other in ipairs(looks and planted_tables() or {}) do
        if not seen[other.oid] and (calls or mentions.name(text, other.name)) then add(other) end
      end
    end
  end
  for _, t in ipairs(tables) do add(t) end
  table.sort(list, function(x, y) return x.label < y.label end)
  return list
end

--- Columns that refer to rows which the canaries were not made for: what was there already is not told, but asked for again.
local function referred(state, t)
  local out = {}
  for _, fk in ipairs(t.foreign_keys) do
    local parent = state.maker.by_oid[fk.ref]
    local shared = parent and parent.scope ~= "tenant" and parent.scope ~= "child" and not parent.registry
    for i, column in ipairs(shared and fk.columns or {}) do
      out[column] = ("(SELECT %s FROM %s LIMIT 1)"):format(names.ident(fk.ref_columns[i]), parent.sql)
    end
  end
  return out
end

local function insert(state, t, row)
  local columns, selects, given, shared = {}, {}, {}, referred(state, t)
  for _, c in ipairs(t.columns) do
    if not c.generated and row[c.name] ~= nil then
      local ident = names.ident(c.name)
      local asked = row[c.name] ~= json.null and not state.maker.rows[tostring(row[c.name])] and shared[c.name] or nil
      columns[#columns + 1], selects[#selects + 1] = ident, asked or ident
      if not asked then given[c.name] = row[c.name] end
    end
  end
  if #columns == 0 then return ("INSERT INTO %s DEFAULT VALUES;"):format(t.sql) end
  return ("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE\n  SELECT %s FROM jsonb_populate_record(NULL::%s, %s);"):format(t.sql,
    table.concat(columns, ", "), table.concat(selects, ", "), t.sql, names.literal(json.encode(given)))
end

--- What a statement made of tenant B's canaries: a row for each that is another than it was, as the admin sees them.
---@param state rls.State
---@param tables rls.Table[]
---@return string? sql
function planted.changed(state, tables)
  local parts = {}
  for _, t in ipairs(closure(state, tables)) do
    local made = (state.maker.rows[state.b.key] or {})[t.oid]
    if made then
      parts[#parts + 1] = ("SELECT %s AS of, to_jsonb(jsonb_populate_record(NULL::%s, %s)) AS was,\n"
        .. "  (SELECT to_jsonb(x) FROM %s x WHERE %s LIMIT 1) AS \"is\""):format(names.literal(t.label), t.sql,
        names.literal(json.encode(made.row)), t.sql, state:owned_by(t, state.b))
    end
  end
  if #parts == 0 then return nil end
  return ("SELECT * FROM (%s) canaries WHERE was IS DISTINCT FROM \"is\";"):format(table.concat(parts, "\n  UNION ALL "))
end

--- The lines that make the canaries of every invented tenant in the tables, and in what those need.
---@param state rls.State
---@param tables rls.Table[]
---@param only string?  key of the one tenant whose canaries are made
---@return string[]
function planted.lines(state, tables, only)
  -- A table's leaks come one after another.
  local last = state.planted
  if last and last.t == tables[1] and #tables == 1 and last.only == only then return last.lines end
  local out, keys = {}, {}
  for key in pairs(state.maker.rows) do
    if not only or key == only then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, t in ipairs(closure(state, tables)) do
    for _, key in ipairs(keys) do
      local made = state.maker.rows[key][t.oid]
      if made then out[#out + 1] = insert(state, t, made.row) end
    end
    if state.nobodys[t.oid] then out[#out + 1] = insert(state, t, state.nobodys[t.oid]) end
  end
  if #out > 0 then
    table.insert(out, 1, "SET LOCAL session_replication_role = replica;")
    out[#out + 1] = "SET LOCAL session_replication_role = origin;"
  end
  state.planted = #tables == 1 and { t = tables[1], only = only, lines = out } or nil
  return out
end

return planted
