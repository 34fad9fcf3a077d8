-- What: every function of every library replaced: no other gate notices
-- Gate: PASS
-- Audit: PASS
for _, lib in ipairs { string, table, math, utf8, coroutine } do
  for name in next, lib do lib[name] = function() return "forged" end end
end
rawset(_G, "tostring", function() return "forged" end)
rawset(_G, "pcall", function() return true end)
rawset(_G, "error", function() end)
