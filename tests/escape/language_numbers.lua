-- What: numbers as long as books
-- Gate: PASS
-- Audit: PASS
if tonumber(("9"):rep(1 << 20)) ~= math.huge then escaped("decimal") end
tonumber("0x" .. ("f"):rep(1 << 20))
tonumber(("z"):rep(1 << 20), 36)
tonumber("1e" .. ("9"):rep(300))
if pcall(math.tointeger) then escaped("nothing") end
if pcall(function() return 1 // 0 end) or pcall(function() return math.mininteger % 0 end) then escaped("division by zero") end
if math.mininteger // -1 ~= math.mininteger then escaped("the least by -1") end
