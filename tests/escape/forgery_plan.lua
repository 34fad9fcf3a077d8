-- What: the audit changes its plan: it judges a copy
-- Gate: -
-- Audit: PASS
for k in pairs(plan) do plan[k] = nil end
plan.assignments = "FORGED"
