-- What: errors.raise made silent: what it should have stopped is still an ERROR or a FAIL
-- Gate: ERROR nothing_checked|event_order|failure_unknown|script_error|script_usage
-- Audit: -
require("errors").raise = function() end
require("errors").new = function() end
ctx:fail("no_such_class", { object = "x" })
