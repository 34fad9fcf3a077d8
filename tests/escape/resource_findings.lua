-- What: three hundred thousand findings: the failure stays one
-- Gate: FAIL
-- Audit: FAIL
for i = 1, 300000 do escaped("number " .. i) end
