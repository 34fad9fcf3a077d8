--- Functions of policies that tell the rows they are asked for: RAISE sends its arguments to the client before the policy has answered.
local compile = require "rls.prover.compile"
local decide = require "rls.decide"
local leads = require "rls.leads"
local mentions = require "rls.mentions"
local model = require "rls.model"
local names = require "rls.names"
local prover = require "rls.prover"

local telling = {}

local function say(d, f, detail, advisory)
  return { class = "policy_tells", object = d.table.label, oid = d.table.oid, advisory = advisory, detail = detail,
    reproduce = f and ("select pg_get_functiondef(%s::regprocedure);"):format(names.literal(f.signature))
      or ("select polname, pg_get_expr(polqual, polrelid) from pg_policy where polrelid = %s::regclass;"):format(
        names.literal(d.table.sql)) }
end

--- Where the functions of a policy's expression say something of its row, and whether that may be another tenant's.
local function told(input, text)
  local cx = { input = input, depth = 0, assumes = {}, guarding = {}, current_user = input.role.name }
  local walk, out = compile.told(text, input.relation, cx), {}
  for _, reach in ipairs(walk.out) do
    if reach.main == walk.subject then out[#out + 1] = { f = reach.by, verdict = prover.of_row(input, reach.main, reach.node, cx) } end
  end
  return out, walk.unread
end

--- What is found in the policies of one table.
local function of_table(d, seen, axes, list, known)
  local t, read = d.table, seen.model
  local path, owner = model.path(t, seen.by_oid)
  local input = { relation = t.label, tables = read.tables, functions = read.functions, types = read.types, presets = read.presets,
    axes = decide.axes_for(path and owner, axes), role = d.role, trust = seen.trust, today = seen.today, leads = read.leads,
    may_touch = function(f) return known[f] == true end }
  local unsure
  for _, policy in ipairs(t.policies or {}) do
    for _, text in ipairs { policy.using or false, policy.check or false } do
      local calls = false
      for _, f in ipairs(text and list or {}) do calls = calls or mentions.call(text:lower(), f.name:match "[^.]*$") end
      local verdicts, unread = {}, nil
      if calls then verdicts, unread = told(input, text) end
      for _, r in ipairs(verdicts) do
        local by = r.f and r.f.name or "a function"
        if r.verdict.status == "counterexample" then
          return say(d, r.f, ("%s, which the policy %s calls, raises what it is given of another tenant's row: %s"):format(by, policy.name,
            r.verdict.text))
        elseif r.verdict.status == "unknown" then
          unsure = unsure or say(d, r.f, ("whether %s, which the policy %s calls, raises what it is given of another tenant's row is "
            .. "undecided: %s"):format(by, policy.name, r.verdict.reason), true)
        end
      end
      unsure = unsure or unread and say(d, nil, ("what the functions of the policy %s raise is undecided: %s"):format(policy.name, unread),
        true)
    end
  end
  return unsure
end

--- Findings about policies whose functions tell rows.
---@param decisions rls.Decision[]
---@param seen table  of rls.harness.look, with `model`
---@return {class: string, object: string, oid: string, detail: string, reproduce: string, advisory: boolean?}[]
function telling.findings(decisions, seen)
  local out, known_tables, list, known = {}, {}, leads.raising(seen.model)
  local axes = #list > 0 and decide.axes(seen.settings)
  for _, d in ipairs(#list > 0 and decisions or {}) do
    local found = not known_tables[d.table.oid] and d.table.rls and of_table(d, seen, axes, list, known)
    if found then
      known_tables[d.table.oid] = true
      out[#out + 1] = found
    end
  end
  return out
end

return telling
