-- What: the audit looks for more weeks than it asked for, and for a history of theirs
-- Gate: -
-- Audit: PASS
-- Head: needs = { history = 1 },
if #plan.history ~= 1 or next(plan.history, 1) ~= nil then escaped(#plan.history .. " weeks") end
if plan.history[1].week.iso ~= "2023-W52" then escaped(plan.history[1].week.iso) end
if rawget(plan.history[1], "history") ~= nil then escaped "a history of a history" end
