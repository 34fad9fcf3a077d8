--- Tables whose rows the policies of another one ask for: named in their text, or in that of functions which they call.
--
-- A membership is one: without a row of it nobody reaches anything, and a canary of the table alone shows nothing.
local mentions = require "rls.mentions"

local asked = {}

--- A text with the bodies of the functions that it calls behind it, and of those that these call.
---@param text string
---@param bodies table<string, string>  by the name without its schema
---@return string  in lower case
local function expanded(text, bodies)
  local out, seen = { text:lower() }, {}
  local i = 1
  while out[i] do
    for name, body in pairs(bodies) do
      if not seen[name] and mentions.call(out[i], name) then
        seen[name] = true
        out[#out + 1] = body:lower()
      end
    end
    i = i + 1
  end
  return table.concat(out, "\n")
end

--- Those of some tables that a policy's text, or a function that it calls, names.
---@param text string
---@param bodies table<string, string>  functions' texts by the name without its schema
---@param tables {name: string}[]
---@param own table       the table of the policy
---@return table[], string  and all the text that was read
function asked.of(text, bodies, tables, own)
  local whole, out = expanded(text, bodies), {}
  for _, t in ipairs(tables) do
    if t ~= own and mentions.name(whole, t.name) then out[#out + 1] = t end
  end
  return out, whole
end

--- Is a column compared with who the session is: a setting, or a function that reads one?
---@param whole string   of asked.of
---@param column string
---@param bodies table<string, string>
---@return boolean
function asked.is_session(whole, column, bodies)
  local name = column:lower():gsub("%W", "%%%0")
  for called in whole:gmatch('%f[%w_]' .. name .. '"?%s*=%s*[%(%s]*s?e?l?e?c?t?%s*([%w_.]+)%s*%(') do
    local last = called:match "[^.]*$"
    if last == "current_setting" or last == "nullif" or (bodies[last] or ""):find("current_setting", 1, true) then return true end
  end
  return false
end

--- The labels of tables with rows of their own that a table's policies ask for.
---@param seen table  of rls.harness.look, with `model`
---@param t rls.Table
---@return string[]
function asked.labels(seen, t)
  local parts, bodies, base, out = {}, {}, {}, {}
  for _, p in ipairs(t.policies or {}) do
    if p.applies then parts[#parts + 1] = (p.using or "") .. " " .. (p.check or "") end
  end
  for _, f in ipairs(seen.model and seen.model.all_functions or {}) do
    local name = f.name:match "[^.]*$"
    bodies[name] = (bodies[name] or "") .. "\n" .. (f.body or "")
  end
  for _, other in ipairs(seen.tables) do
    if other.kind == "r" or other.kind == "p" then base[#base + 1] = other end
  end
  local text = table.concat(parts, "\n")
  local list, whole = asked.of(text, bodies, base, t)
  for i, other in ipairs(list) do out[i] = other.label end
  -- Its own, where a function asks for them: another row of it says that the session may see this one.
  if mentions.name(whole:sub(#text + 1), t.name) then out[#out + 1] = t.label end
  table.sort(out)
  return out
end

return asked
