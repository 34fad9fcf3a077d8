-- What: the audit asks for earlier weeks by a table
-- Gate: -
-- Audit: REFUSED schema_type
-- Head: needs = { history = {} },
escaped("it ran, with " .. tostring(plan.history))
