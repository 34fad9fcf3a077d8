--- Rows of counterexamples that a table's constraints refuse, with other values: what tells whose they are stays, the rest is searched for.
--
-- A counterexample says what the policies ask of a row, and not what CHECK constraints, partitions and generated columns do.
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"
local solve = require "rls.solve"

local remade = {}

--- Sets of columns that may have to stay as they are, the most telling first.
local function kept(t)
  local own = t.tenant and { t.tenant } or t.parent_key and t.parent_key.columns or {}
  local all, out = { table.unpack(own) }, {}
  for _, column in pairs(t.axes or {}) do
    if column ~= t.tenant and t.by_column[column] then
      all[#all + 1] = column
      out[#out + 1] = { column }
    end
  end
  table.insert(out, 1, own)
  if #all > #own then table.insert(out, 1, all) end
  return out
end

local function check_of(t, name)
  for _, check in ipairs(t.checks) do
    if check.name == name then return check end
  end
  return nil
end

--- The columns that a generated tenant's column is made of: in the row, and in what an UPDATE of it sets.
local function generate(conn, t, f, row)
  local own, theirs, sets = f.own[1], f.row[t.tenant], {}
  local key = f.moves and own or theirs
  if key == nil or theirs == nil then return false end
  for name, literal in pairs(solve.sources(conn, t, t.tenant, tostring(key))) do row[name] = literal end
  for name, literal in pairs(f.moves and solve.sources(conn, t, t.tenant, tostring(theirs)) or {}) do
    sets[#sets + 1] = ("%s = %s"):format(names.ident(name), literal)
  end
  table.sort(sets)
  return true, #sets > 0 and table.concat(sets, ", ") or nil
end

--- Changes the row where the server refused it; false where nothing is known that may help. The second result is what an UPDATE sets.
local function change(conn, t, f, row, fixed, refusal)
  local by_tenant = t.tenant and refusal.column == t.tenant and t.by_column[t.tenant].generated
  if refusal.sqlstate == "23502" and by_tenant then return generate(conn, t, f, row) end
  if refusal.sqlstate ~= "23514" then return false end
  if not refusal.constraint then return solve.partition(conn, t, row, fixed) end
  local check = check_of(t, refusal.constraint)
  return check ~= nil and solve.search(conn, t, check.columns, row, fixed)
end

--- Tries rows with other values, until one shows what the finding says.
---@param conn table     the admin's
---@param t rls.Table
---@param f table        a finding of rls.rules.policies, with `remake`
---@param refusal table  the server's, of the row as it is
---@param try fun(literals: table<string, string>, text: string, steps: string[]): boolean|nil, string?, table?  whether it shows it,
---  what is said of it, and the server's next refusal
---@return boolean? ok, string? why
function remade.try(conn, t, f, refusal, try)
  for _, columns in ipairs(kept(t)) do
    local row, fixed, left = reproduce.values(t, f.row), {}, refusal
    for _, column in ipairs(columns) do fixed[column] = true end
    if f.moves and t.tenant and row[t.tenant] and f.own[1] ~= nil then row[t.tenant] = prover.literal(f.own[1]) end
    for _ = 1, 3 do
      local changed, sets = change(conn, t, f, row, fixed, left)
      if not changed then break end
      local text, steps = f.remake(row, sets)
      local ok, why, next_refusal = try(row, text, steps)
      if ok then
        f.reproduce, f.steps = text, steps
        return ok, why
      end
      left = next_refusal
      if not left then break end
    end
  end
  return nil
end

return remade
