--- What to add to database.fixtures where no canary can be made.
local mentions = require "rls.mentions"
local names = require "rls.names"

local fixture_texts = {}

--- The texts of the functions of a table's triggers, where it is one of these that refuses.
---@param conn table
---@param t rls.Table
---@return string
function fixture_texts.triggers(conn, t)
  local ok, rows = pcall(conn.query, conn, [[select p.prosrc as body from pg_trigger g join pg_proc p on p.oid = g.tgfoid
    where g.tgrelid = $1::oid and not g.tgisinternal]], t.oid)
  local parts = {}
  for i, row in ipairs(ok and rows or {}) do parts[i] = row.body:lower() end
  return table.concat(parts, "\n")
end

--- Which columns are to be named in a fixture: those that a row must have, and those that a trigger which refuses it looks at.
---@param t rls.Table
---@param triggers string?  the text of its triggers' functions
---@return string
function fixture_texts.of(t, triggers)
  local columns, places = {}, {}
  for _, c in ipairs(t.columns) do
    local asked = triggers and not c.generated and c.identity == "" and mentions.name(triggers:gsub("new%.", "new. "), c.name)
    if (c.name == t.tenant and not c.generated) or asked
      or (c.notnull and not c.has_default and not c.generated and c.identity == "") then
      columns[#columns + 1] = names.ident(c.name)
      places[#places + 1] = c.name == t.tenant and "{tenant}" or "…"
    end
  end
  return ("add to database.fixtures: [%q] = \"insert into %s (%s) values (%s)\""):format(t.label, t.sql:gsub('"', '\\"'),
    table.concat(columns, ", "):gsub('"', '\\"'), table.concat(places, ", "))
end

return fixture_texts
