-- What: the memory limit hit and swallowed: no pass
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
pcall(string.rep, "x", 1 << 30)
