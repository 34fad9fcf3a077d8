-- What: known bug of 5.4.7: a collection in an emergency frees the __newindex of a weak metatable while it is being written to
-- Gate: ERROR script_memory|gate_cpu
-- Audit: ERROR script_memory
local function attempt(room)
  local keep = {}
  local function fill()
    while true do
      local ok = pcall(function() keep[#keep + 1] = ("x"):rep(room) .. #keep end)
      if not ok then return end
    end
  end
  local mt = setmetatable({}, { __mode = "v" })
  local t = setmetatable({}, mt)
  fill()
  for i = 1, 20 do
    pcall(function()
      mt.__newindex = { [i] = nil }
      t["key " .. i] = { i }
    end)
    keep[#keep] = nil
  end
end
for _, room in ipairs { 1 << 20, 1 << 16 } do attempt(room) end
