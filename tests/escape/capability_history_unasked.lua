-- What: the audit asks for earlier weeks by a metatable, which nobody reads
-- Gate: -
-- Audit: PASS
-- Head: needs = setmetatable({}, { __index = { history = 2 } }),
if plan.history ~= nil then escaped "it has a history" end
