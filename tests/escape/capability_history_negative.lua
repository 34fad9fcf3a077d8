-- What: the audit asks for fewer earlier weeks than none
-- Gate: -
-- Audit: REFUSED schema_range
-- Head: needs = { history = -1 },
escaped("it ran, with " .. tostring(plan.history))
