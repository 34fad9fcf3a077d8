-- What: __tostring, __concat, __index and __eq that call themselves
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local mt = {}
local t, u = setmetatable({}, mt), setmetatable({}, mt)
mt.__tostring = function(v) return tostring(v) end
mt.__concat = function(a, b) return a .. b end
mt.__index = function(v, k) return v[k .. "x"] end
mt.__eq = function(a, b) return a == b end
mt.__lt = function(a, b) return a < b end
mt.__call = function(v) return 1 + v() end
mt.__unm = function(v) return 1 + -v end
for i, f in ipairs { function() return tostring(t) end, function() return t .. u end, function() return t.x end,
  function() return 1 == (t == u) end, function() return not (t < u) end, function() return t() end, function() return -t end } do
  local ok = pcall(f)
  if ok and i ~= 4 and i ~= 5 then escaped("depth " .. i) end
end
