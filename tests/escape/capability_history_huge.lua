-- What: the audit asks for a billion earlier weeks
-- Gate: -
-- Audit: REFUSED schema_range
-- Head: needs = { history = 1e9 },
escaped("it ran, with " .. tostring(plan.history))
