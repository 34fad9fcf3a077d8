--- The access matrix of gate 1: role × table × command, and how each cell was decided.
--
-- A cell is a word and, after a colon, why: "denied" (no right), "proven" (by the policies, or because there is none), "counterexample"
-- (the class of its finding), "trusted" (the reason in the configuration), "probed" (undecided by proof, no way through found by the
-- probe), "unknown" (undecided by both).
local decide = require "rls.decide"

local matrix = {}

--- Most rows of a report.
local ROWS_MAX = 10000

local function short(text)
  text = text:gsub("%s+", " ")
  return #text > 160 and text:sub(1, 157):gsub("[\128-\191]*$", "") .. "…" or text
end

local REASONS = { ["no policy"] = "no policy lets it", ["policies"] = "policies" }

---@param d rls.Decision
---@param command string
---@param result table?  of the probe
---@return string
local function cell(d, command, result)
  local v = d.verdicts[command]
  -- What a statement went through is not closed, whatever was proven.
  for _, l in ipairs(not d.role.via and result and result.leaks or {}) do
    if l.op == command:lower() and v.status ~= "counterexample" then return "counterexample: found by the probe" end
  end
  if v.decided_by == "no grant" then return "denied: no grant" end
  if v.status == "proven" then return "proven: " .. (REASONS[v.decided_by] or v.decided_by) end
  if v.status == "counterexample" then return "counterexample: " .. v.class end
  if v.status == "trusted" then return short("trusted: " .. (v.trust and v.trust[1] and v.trust[1].reason or "?")) end
  local probed = not d.role.via and result and #result.errors == 0 and (result.controls > 0 or #result.proven > 0)
  return short((probed and "probed: " or "unknown: ") .. (v.reason or "?"))
end

--- The rows, one for each role and table.
---@param decisions rls.Decision[]
---@param results table<string, table>?  of the probe, by oid
---@return table[] rows  {table, role, select, insert, update, delete}
---@return integer left_out
function matrix.rows(decisions, results)
  local out, left = {}, 0
  for _, d in ipairs(decisions) do
    if #out >= ROWS_MAX then
      left = left + 1
    else
      local row = { table = d.table.label, role = d.role.name }
      for _, command in ipairs(decide.COMMANDS) do row[command:lower()] = cell(d, command, (results or {})[d.table.oid]) end
      out[#out + 1] = row
    end
  end
  return out, left
end

return matrix
