-- What: findings of a check before thousands of others of long names: the supervisor must not search them all each time
-- Gate: FAIL
-- Audit: -
for i = 1, 5000 do ctx:check(("n"):rep(190) .. i, function() end) end
for _ = 1, 5000 do escaped("x") end
