-- What: the audit asks for no earlier week, so that it sees none and finds nothing
-- Gate: -
-- Audit: REFUSED schema_range
-- Head: needs = { history = 0 },
escaped("it ran, with " .. tostring(plan.history))
