-- What: the audit asks for earlier weeks by a text
-- Gate: -
-- Audit: REFUSED schema_type
-- Head: needs = { history = "2" },
escaped("it ran, with " .. tostring(plan.history))
