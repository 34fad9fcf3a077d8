-- What: a comparator that sorts
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local function less() table.sort({ 3, 2, 1 }, less) return false end
less()
