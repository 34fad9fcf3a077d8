-- What: a JSON text that is many times its size once it is read
-- Gate: ERROR script_memory|json_syntax|json_size|script_error|out_of_memory|value_size|bad_argument
-- Audit: -
local json = require "json"
local keep = {}
for i = 1, 20 do keep[i] = json.decode("[" .. ("[],"):rep(1000000) .. "[]]") end
