-- What: sleeping for a day
-- Gate: ERROR gate_timeout
-- Audit: -
require("task").sleep(86400)
