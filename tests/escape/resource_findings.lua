-- What: a million findings: the failure stays one
-- Gate: FAIL
-- Audit: FAIL
for i = 1, 1000000 do escaped("number " .. i) end
