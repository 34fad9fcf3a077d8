--- Attacks on a plan's lock, through a platform adapter: proof that LOCKED holds, with a control for each attack.

local errors = require "errors"

local M = {}

--- Try every attack on a DRAFT plan, where each must succeed (each is undone). An attack that fails here would be refused for another
--- reason later, and would prove nothing about the lock.
---@param adapter table  see stdlib/platform/adapter.lua
---@param plan string
---@param forecast string
---@return table<string, table>  outcome by attack id
function M.controls(adapter, plan, forecast)
  local out = {}
  for _, attack in ipairs(adapter.attacks()) do
    out[attack.id] = adapter.control and adapter.control(attack) or adapter.attack(plan, forecast, attack)
  end
  return out
end

--- The attacks as every other role that the application may become: what changes something is a breach, whoever does it. That a role has
--- no right to, or sees no row, is as good as a refusal by the lock.
local function as_others(adapter, plan, forecast, out)
  if not adapter.other_roles then return nil end
  local names = {}
  for i, role in ipairs(adapter.other_roles()) do
    names[i] = role.role
    for _, attack in ipairs(adapter.attacks()) do
      local result = adapter.attack(plan, forecast, attack, role)
      local changed = result.done and (result.affected or 0) > 0
      if changed or not (result.done or result.refused_by_lock or result.no_right) then
        out[#out + 1] = { id = attack.id, title = ("%s as the role %s"):format(attack.title, role.role), code = result.code,
          verdict = changed and "not_refused" or "other_refusal", reproduce = result.reproduce,
          detail = changed and ("%s rows changed"):format(tostring(result.affected))
            or ("%s: %s"):format(tostring(result.code), tostring(result.message)) }
      end
    end
  end
  return names
end

--- Attack a LOCKED plan.
---@param adapter table
---@param plan string
---@param forecast string
---@param controls table  of controls(), taken while the plan was DRAFT
---@return table[]  {id, title, verdict = "refused"|"not_refused"|"other_refusal"|"not_offered", code, detail, reproduce}
---@return string[]|nil roles  as which it was attacked too; nil where the adapter names none
---  Errors: lock_no_attacks, lock_control (an attack's control did not succeed, so that nothing can be said).
function M.attack(adapter, plan, forecast, controls)
  local out, tried = {}, 0
  for i, attack in ipairs(adapter.attacks()) do
    local control = controls[attack.id]
    local absent = control and control.not_offered
    if not absent and (not control or not control.done or (control.affected or 0) < 1) then
      errors.raise { code = "lock_control", message = ("%s did not succeed on the DRAFT plan either: %s"):format(attack.title,
        control and (control.message or "it changed nothing") or "it was not tried"),
        fix = "Give the application's role the rights it has in production, then rerun the gate" }
    end
    local result = adapter.attack(plan, forecast, attack)
    local verdict = result.done and "not_refused" or absent and "not_offered" or result.refused_by_lock and "refused" or "other_refusal"
    tried = tried + (absent and 0 or 1)
    out[i] = { id = attack.id, title = attack.title, verdict = verdict, code = result.code, reproduce = result.reproduce,
      detail = result.done and ("%s rows changed"):format(tostring(result.affected))
        or ("%s: %s"):format(tostring(result.code), tostring(result.message)) }
  end
  if tried == 0 then
    errors.raise { code = "lock_no_attacks",
      message = #out == 0 and "the platform adapter names no attack: the lock cannot be proven"
        or "the platform offers none of the requests that would change a plan: the lock cannot be proven through it",
      fix = "Add attacks() to the adapter, see stdlib/platform/adapter.lua" }
  end
  return out, as_others(adapter, plan, forecast, out)
end

--- Ask for a lock that may be refused.
---@param adapter table
---@param plan string
---@param who string
---@return {locked: boolean, refused: boolean, message: string?}  Errors other than the platform's refusal go on.
function M.try_lock(adapter, plan, who)
  local ok, answer = pcall(adapter.lock_plan, plan, who)
  if ok then return { locked = true, refused = false, message = tostring(answer) } end
  if not adapter.lock_refused(answer) then error(answer, 0) end
  return { locked = false, refused = true, message = answer.message }
end

--- Stop unless a lock attempt was refused.
---@param attempt table  of try_lock()
---@param when string  for the message
---@param stop fun(message: string, detail: string?, fix: string?)
function M.need_refused(attempt, when, stop)
  if not attempt or not attempt.refused then
    stop(("the platform locked the plan %s"):format(when), nil, "make lock_plan refuse while a required audit is not PASS")
  end
end

return M
