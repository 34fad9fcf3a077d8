-- What: thirty thousand checks
-- Gate: ERROR event_flood|gate_cpu
-- Audit: -
for i = 1, 30000 do ctx:check("check " .. i, function() end) end
