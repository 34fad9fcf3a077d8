--- The text of a configuration that `gate-engine init` derived.
local text = {}

local function ident(name) return '"' .. name:gsub('"', '""') .. '"' end

--- A name as the configuration takes it: "schema.table", quoted where it has to be.
local function label(t)
  local function part(s) return s:find "^[%w_]+$" and s or ident(s) end
  return part(t.schema) .. "." .. part(t.name)
end

local function lua(s) return ("%q"):format(s):gsub("\\\n", "\\n") end

local function list(tables, prefix, out)
  for _, t in ipairs(tables) do out[#out + 1] = ("%s%s,"):format(prefix, lua(label(t))) end
end

--- The SQL of a role with the least rights for gate 1, as comments.
local function role_sql(found, out)
  local schemas = {}
  for _, t in ipairs(found.scoped) do schemas[t.schema] = true end
  local function names(set)
    local l = {}
    for n in pairs(set) do l[#l + 1] = ident(n) end
    table.sort(l)
    return table.concat(l, ", ")
  end
  out[#out + 1] = "-- A role with the least rights for all of gate 1, as a superuser or, on a managed service, its master user runs it:"
  for _, line in ipairs {
    "create role gate_engine login nosuperuser noinherit;   -- \\password gate_engine",
    "alter role gate_engine bypassrls;                      -- canaries of two tenants; not needed where it is the tables' owner's member",
    ("grant %s to gate_engine;"):format(found.app and ident(found.app) or "APPLICATION"),
    ("grant usage on schema %s to gate_engine;"):format(names(schemas)),
    ("grant select, insert, update, delete on all tables in schema %s to gate_engine;"):format(names(schemas)),
    ("grant usage on all sequences in schema %s to gate_engine;"):format(names(schemas)),
  } do out[#out + 1] = "--   " .. line end
  out[#out + 1] = "-- The catalogue alone needs no grant: with nothing but CONNECT the static part runs. See: gate-engine doc rights"
end

--- One axis, or a list of them.
local function tenant(axes, add)
  local several = #axes > 1
  local deep = several and "        " or "      "
  add("    tenant = {")
  for _, axis in ipairs(axes) do
    if several then add("      {") end
    add(("%scolumn = %s,"):format(deep, lua(axis.column)))
    if axis.setting then
      add(("%ssetting = %s,"):format(deep, lua(axis.setting)))
    else
      add(deep .. "-- No policy reads a setting: name the one with which the application says for whom it works.")
      add(deep .. 'setting = "app.tenant_id",')
    end
    if axis.key then add(("%svalue = %s, -- the key by which policies read it"):format(deep, lua(('{"%s": "{id}"}'):format(axis.key)))) end
    if axis.registry then
      add(("%s-- With the table of tenants --tenant must name one of them: table = %s, key = \"id\", code = …"):format(deep,
        lua(label(axis.registry))))
    end
    if several then add("      },") end
  end
  add("    },")
end

--- An INSERT with the columns that it cannot do without.
---@param given table<string, boolean>?  more columns that have the tenant's value
local function stub(t, axes, given)
  local columns, values, mine = {}, {}, {}
  for _, axis in ipairs(axes) do mine[axis.column] = true end
  if t.refers then mine[t.refers] = true end
  for name in pairs(given or {}) do mine[name] = true end
  for _, name in ipairs(t.columns) do
    local needed = mine[name]
    for _, other in ipairs(t.needed) do needed = needed or other == name end
    if needed then
      columns[#columns + 1] = ident(name)
      values[#values + 1] = mine[name] and "{tenant}" or "…"
    end
  end
  return ("insert into %s.%s (%s) values (%s)"):format(ident(t.schema), ident(t.name), table.concat(columns, ", "),
    table.concat(values, ", "))
end

---@param found table
---@return string
function text.config(found)
  local out = { ("-- gate-engine's configuration for the database %s (PostgreSQL %s), derived from its catalogue by gate-engine init.")
    :format(found.database:gsub("%c", " "), found.server:match "^[%d.]+"), "-- It is data. Look at each line that says so.", "return {",
    '  platform = "external",', "  database = {" }
  local function add(line) out[#out + 1] = line end
  add(found.url.variable and "    -- No password stands here: the variable holds the URL."
    or "    -- No password was in the URL. Where the server wants one, write url = env \"NAME\" and put the URL there.")
  add(("    admin = { url = %s%s },"):format(found.url.variable and "env " or "", lua(found.url.variable or found.url.url)))
  if found.app then
    add("    -- The application's role, assumed after the admin's login. Of the roles with grants on tenants' tables it fits best: "
      .. table.concat(found.candidates, ", "):gsub("%c", " "))
    add(("    app = { role = %s },"):format(lua(found.app)))
  else
    add("    -- No role besides owners has grants on tenants' tables: name the application's.")
    add('    -- app = { role = "…" },')
  end
  add(found.sure and "    -- As the policies say." or "    -- No policy says it: the column by its usual name. Look at it.")
  tenant(found.axes, add)
  add("    -- The same for every tenant. Undecided: the application reads these and writes none, and nothing says whose their rows are.")
  add("    -- Look at each and uncomment what is everybody's; the others stay reported as unclassified.")
  add("    shared = {")
  list(found.shared, "      -- ", out)
  add("    },")
  if #found.undecided > 0 then
    add("    -- Neither the tenant column nor a foreign key says whose these are, and the application writes them. Reported as")
    add("    -- unclassified until they stand in shared or in tenant_scoped.")
    list(found.undecided, "    --   ", out)
  end
  if #found.stubs > 0 then
    add("    -- Rows that the gate may not be able to make by itself: complete and uncomment what it asks for.")
    add("    -- fixtures = {")
    for _, s in ipairs(found.stubs) do
      add(("    --   -- %s"):format(s.why:gsub("%c", " ")))
      add(("    --   [%s] = %s,"):format(lua(label(s.t)), lua(stub(s.t, found.axes, s.given))))
    end
    add("    -- },")
  end
  add("  },")
  add("}")
  add("")
  role_sql(found, out)
  return table.concat(out, "\n") .. "\n"
end

---@param found table
---@return string[]
function text.notes(found)
  local out = {}
  for _, axis in ipairs(found.axes) do
    out[#out + 1] = ("tenant column: %s%s"):format(axis.column, found.sure and "" or " (a guess: no policy says it)")
    out[#out + 1] = ("tenant setting: %s"):format(axis.setting or "none found: app.tenant_id was written, look at it")
  end
  for _, line in ipairs {
    ("application role: %s"):format(found.app or "none found"),
    ("tenants' tables: %d, undecided: %d, of which the application only reads %d"):format(#found.scoped,
      #found.shared + #found.undecided, #found.shared) } do out[#out + 1] = line end
  if #found.stubs > 0 then out[#out + 1] = ("fixture stubs: %d"):format(#found.stubs) end
  if not (found.me.super or found.me.bypass) then
    out[#out + 1] = ("%s is no superuser and has no BYPASSRLS: gate-engine doc rights says what it cannot see"):format(found.me.name)
  end
  return out
end

return text
