-- What: the audit changes the weeks before its plan's: it has a copy of them
-- Gate: -
-- Audit: PASS
-- Head: needs = { history = 2 },
for _, week in ipairs(plan.history) do
  for k in pairs(week) do week[k] = nil end
end
plan.history[3], plan.history[1] = plan, "FORGED"
plan.history = plan
