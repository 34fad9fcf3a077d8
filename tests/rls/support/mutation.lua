--- The mutation score of a case: gate 1 breaks its schema, on a scratch copy made of a dump, and sees whether it notices.
local json = require "engine.json"
local verdict = require "verdict"

local mutation = {}

local SECONDS = 300

--- pg_dump of the newest server that is here, as the wrapper of Debian's package takes it.
local DUMP = [[
  mkdir -p %s && pg_dumpall -h %s -p %d -U postgres --roles-only --no-role-passwords | grep -v '^[A-Z]* ROLE postgres\b' >%s/1_roles.sql
  pg_dump -h %s -p %d -U postgres --schema-only %s >%s/2_schema.sql]]

local function config(c)
  return ("return { platform = \"external\", database = { app = { role = %q },\n  tenant = %s,\n  %s } }\n"):format(
    c.head.App, c.head.Tenant or verdict.axis(c), c.head.Config or "")
end

---@class rls.Mutation
---@field name string         of the case
---@field score number?       percent; nil where there is none, and `problem` says why
---@field mutants integer?
---@field survived string[]   "kind (object): why"
---@field impossible string[] mutants that are no SQL on this schema
---@field undecided integer?  mutants after which a check can no longer decide
---@field problem string?     why the run is worth nothing: gate 1 does not pass the schema as it is, or the mutation ended early

--- Runs gate 1 with --mutate on a dump of a case's database.
---@param c rls.Case
---@param place {database: string, host: string, port: integer, engine: string, dir: string, base: string}
---@return rls.Mutation
function mutation.run(c, place)
  local base, q = place.base .. ".mutate", verdict.quote
  verdict.write(base .. ".conf.lua", config(c))
  os.execute("set -e\n" .. DUMP:format(q(base), q(place.host), place.port, q(base), q(place.host), place.port, q(place.database), q(base)))
  local report, text = verdict.engine(place, base, ("--mutate --migrations %s"):format(q(base)), SECONDS)
  local out = { name = c.name, survived = json.array {}, impossible = json.array {} }
  local gate = report and report.gates and report.gates[1]
  if not gate then
    out.problem = "no report: " .. text
    return out
  end
  local facts = gate.facts or {}
  out.score, out.mutants, out.undecided = facts.mutation_score, facts.mutants, facts.mutants_undecided
  for i, s in ipairs(facts.mutants_survived or {}) do out.survived[i] = s end
  for i, s in ipairs(facts.mutants_impossible or {}) do out.impossible[i] = s end
  if gate.status ~= "PASS" then
    out.problem = #(gate.checks or {}) > 0 and gate.status or text
    for _, k in ipairs(gate.checks or {}) do
      if k.status == "ERROR" or k.severity == "leak" then
        out.problem = ("%s; %s: %s"):format(out.problem, k.class or k.name or "", k.detail or k.failure or "")
      end
    end
  elseif not out.score then
    out.problem = "no score"
  end
  return out
end

return mutation
