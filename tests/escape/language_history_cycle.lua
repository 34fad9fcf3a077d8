-- What: the audit looks for a way around in circles through its plan: no table of it can be reached twice
-- Gate: -
-- Audit: PASS
-- Head: needs = { history = 2 },
local seen, tables = {}, 0
local function walk(value)
  if type(value) ~= "table" then return end
  if seen[value] then escaped "a table that was reached before" end
  seen[value], tables = true, tables + 1
  for _, v in pairs(value) do walk(v) end
end
walk(plan)
if tables < 100 then escaped("only " .. tables .. " tables") end
