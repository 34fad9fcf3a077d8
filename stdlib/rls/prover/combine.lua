--- Which policies bind a role's command, and how they are joined: PostgreSQL manual, CREATE POLICY.
--
-- Permissive policies that apply are joined by OR, restrictive ones by AND; without a permissive one nothing is allowed. Where a
-- policy has no WITH CHECK its USING stands for it; one that has no expression for a phase adds nothing to it.
--
-- Of each command the form that asks least is decided: `DELETE FROM t` and `UPDATE t SET …` without WHERE and RETURNING ask for their own
-- policies only, INSERT without RETURNING for its check. Forms that read (WHERE, RETURNING, FOR UPDATE, ON CONFLICT, MERGE) add the
-- conditions of SELECT, or of UPDATE, to these; what is closed for the plain form is closed for them.
local combine = {}

---@class prover.Policy
---@field name string
---@field command string      "ALL", "SELECT", "INSERT", "UPDATE", "DELETE"
---@field permissive boolean
---@field roles string[]      "public" for all
---@field using string?
---@field check string?
---@field foreign_operators string[]?  operators from outside pg_catalog that it depends on

--- The phases of a command: what they look at.
combine.PHASES = { SELECT = { "using" }, INSERT = { "check" }, UPDATE = { "using", "check" }, DELETE = { "using" } }

--- Does row-level security leave the role alone on this table?
---@return boolean
function combine.bypasses(info, role)
  if role.superuser or role.bypassrls then return true end
  local owner = info.owner
  local owns = owner ~= nil and (owner == role.name or (role.inherits or role.member_of or {})[owner] == true)
  return owns and not info.forced
end

local function applies(policy, role)
  for _, name in ipairs(policy.roles or { "public" }) do
    if name == "public" or name == role.name or (role.inherits or role.member_of or {})[name] then return true end
  end
  return false
end

--- The policies' expressions for a phase of a command: lists of {policy, text}.
function combine.select(info, command, phase, role)
  local permissive, restrictive = {}, {}
  for _, p in ipairs(info.policies or {}) do
    if (p.command == "ALL" or p.command == command) and applies(p, role) then
      local text = phase == "check" and (p.check or p.using) or (phase == "using" and p.using)
      if text then
        local list = p.permissive ~= false and permissive or restrictive
        list[#list + 1] = { policy = p, text = text }
      end
    end
  end
  return permissive, restrictive
end

--- Joins the expressions for the row in scope. `parts` gets {policy, node} of each.
---@return prover.Node
function combine.join(compile, info, command, phase, scope, cx, parts)
  local permissive, restrictive = combine.select(info, command, phase, cx.input.role)
  local function nodes(list)
    local out = {}
    for i, item in ipairs(list) do
      -- What the text does not show (IS DISTINCT FROM, NULLIF) is an equality.
      cx.foreign_operators = false
      for _, name in ipairs(item.policy.foreign_operators or {}) do
        cx.foreign_operators = cx.foreign_operators or name:match "[^.]*$" == "="
      end
      out[i] = compile.policy(item.text, scope, cx)
      cx.foreign_operators = nil
      if parts then parts[#parts + 1] = { policy = item.policy, node = out[i], text = item.text } end
    end
    return out
  end
  local opened = nodes(permissive)
  if #opened == 0 then return compile.const("bool", false) end
  local all = nodes(restrictive)
  table.insert(all, 1, #opened == 1 and opened[1] or { k = "or", t = "bool", args = opened })
  return #all == 1 and all[1] or { k = "and", t = "bool", args = all }
end

return combine
