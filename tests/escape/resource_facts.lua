-- What: a million facts
-- Gate: ERROR event_flood
-- Audit: -
for i = 1, 1000000 do ctx:fact("fact" .. i, i) end
