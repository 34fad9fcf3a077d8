-- What: string.gsub calls back into itself
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local function f() return (("a"):gsub(".", f)) end
f()
