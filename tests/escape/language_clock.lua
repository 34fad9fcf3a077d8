-- What: time, randomness, the order of keys: nothing that could differ
-- Gate: -
-- Audit: PASS
if rawget(_G, "os") or rawget(_G, "io") or rawget(_G, "collectgarbage") then escaped("a library") end
if math.random or math.randomseed then escaped("math.random") end
local keys = {}
for k in pairs { zeta = 1, alpha = 2, [10] = 3, [2] = 4, Beta = 5 } do keys[#keys + 1] = tostring(k) end
if table.concat(keys, " ") ~= "2 10 Beta alpha zeta" then escaped(table.concat(keys, " ")) end
if pcall(pairs, { [{}] = 1 }) then escaped("a table as a key has no order") end
if pcall(next, { [print] = 1 }) then escaped("a function as a key has no order") end
