-- What: tostring, error and pcall replaced before a failure is reported
-- Gate: FAIL
-- Audit: -
rawset(_G, "tostring", function() return "PASS" end)
rawset(_G, "type", function() return "string" end)
rawset(_G, "xpcall", function() return true end)
rawset(_G, "error", function() end)
ctx:fail("escaped", { object = {}, detail = setmetatable({}, { __tostring = function() return "FORGED\nPASS" end }) })
