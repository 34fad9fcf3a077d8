-- What: known bug of 5.4.0 (CVE-2020-15888): the stack grows while garbage is collected
-- Gate: PASS
-- Audit: PASS
local function many(n, ...) if n == 0 then return select("#", ...) end return many(n - 1, n, ...) end
for _ = 1, 5 do
  pcall(many, 240)
  local co = coroutine.wrap(function(...) local t = { ... } for i = 1, 2000 do t[i] = { tostring(i) } end return many(200) end)
  co(table.unpack({}, 1, 200))
end
