-- What: every refusal of memory swallowed, again and again
-- Gate: ERROR gate_cpu|script_memory
-- Audit: ERROR audit_timeout|script_memory
local keep = {}
while true do
  local ok, s = pcall(string.rep, "x", 1 << 20)
  if ok then keep[#keep + 1] = s end
end
