-- What: a string of a terabyte, and one just over the limit
-- Gate: ERROR script_memory|script_error
-- Audit: ERROR script_memory|script_error
if pcall(string.rep, "x", 1 << 62) then escaped("2^62 bytes") end
if pcall(string.rep, ("x"):rep(1 << 20), 1 << 44, "y") then escaped("2^64 bytes") end
return ("x"):rep(1 << 40)
