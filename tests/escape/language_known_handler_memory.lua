-- What: known bug of 5.4.7: an error in the handling of an error, while there is no memory for its text
-- Gate: ERROR script_memory|gate_cpu
-- Audit: ERROR script_memory
local keep = {}
local function handler(e) return handler(e) .. e end
local function deep() return 1 + deep() end
for _ = 1, 5 do
  pcall(function() while true do keep[#keep + 1] = ("x"):rep(1 << 16) .. #keep end end)
  pcall(function() while true do keep[#keep + 1] = { #keep } end end)
  xpcall(deep, handler)
  xpcall(error, function() error("x" .. #keep) end)
  pcall(error, setmetatable({}, { __tostring = error }))
  keep[#keep] = nil
end
