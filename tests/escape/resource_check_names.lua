-- What: findings of a check before nineteen thousand others of long names: the supervisor must not search them all each time
-- Gate: FAIL
-- Audit: -
for i = 1, 19000 do ctx:check(("n"):rep(190) .. i, function() end) end
for _ = 1, 20000 do escaped("x") end
