--- Runs gate 1 on the database of a case and compares what it says with what the case's head says.
local case = require "case"
local json = require "engine.json"

local verdict = {}

function verdict.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end
local quote = verdict.quote

function verdict.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end
local write = verdict.write

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  return text
end

--- Variables that would point the engine at something else.
local UNSET = "-u DATABASE_URL -u PGHOST -u PGHOSTADDR -u PGPORT -u PGDATABASE -u PGUSER -u PGPASSWORD -u PGSERVICE -u PGOPTIONS "
  .. "-u GATE_ENGINE_CONFIG -u LUA_PATH -u LUA_CPATH -u LD_PRELOAD -u CI"

--- database.tenant: the column, the setting, and what else a session of the application has set.
function verdict.axis(c)
  local context = {}
  for setting, value in pairs(case.settings(c)) do context[#context + 1] = ("[%q] = %q"):format(setting, value) end
  table.sort(context)
  return ("{ column = %q, setting = %q, value = %q, context = { %s } }"):format(c.head.Column, c.head.Setting, c.head.Value,
    table.concat(context, ", "))
end

local function config(c, place)
  local function url(user) return ("postgresql://%s@/%s?host=%s&port=%d"):format(user, place.database, place.host, place.port) end
  return ("return { platform = \"external\", database = {\n  admin = { url = %q }, app = { url = %q },\n  tenant = %s,\n  "
    .. "probe = { calls = \"any\" },\n  %s } }\n"):format(
    url "postgres", url(c.head.App), c.head.Tenant or verdict.axis(c), c.head.Config or "")
end

---@class rls.Said
---@field status string     of the gate, or "NONE" where there is no report
---@field findings {status: string, severity: string?, class: string?, object: string?, detail: string?}[]
---@field text string       standard output and error

--- Runs gate 1 with a configuration of its own. Files: base.conf.lua (is there), base.json, base.out.
---@param place {engine: string, dir: string}
---@param base string
---@param words string     more arguments, for the shell
---@param seconds integer  after which it is ended
---@return table? report, string text  standard output and error
function verdict.engine(place, base, words, seconds)
  os.remove(base .. ".json")
  os.execute(("cd %s && env %s HOME=%s GATE_ENGINE_STATE=%s/state timeout -k 5 %d %s run gates/rls_harness.lua %s --config %s "
    .. "--report json=%s >%s 2>&1 </dev/null"):format(quote(place.dir), UNSET, quote(place.dir), quote(place.dir), seconds,
    quote(place.engine), words, quote(base .. ".conf.lua"), quote(base .. ".json"), quote(base .. ".out")))
  local report = read(base .. ".json")
  return report and json.decode(report) or nil, read(base .. ".out") or ""
end

--- Runs the gate with the groups coverage and isolation.
---@param c rls.Case
---@param place {database: string, host: string, port: integer, engine: string, dir: string, base: string}  base: of its files' names
---@return rls.Said
function verdict.run(c, place)
  write(place.base .. ".conf.lua", config(c, place))
  local report, text = verdict.engine(place, place.base, "--tenant acme --only coverage,isolation", 60)
  local said = { status = "NONE", findings = {}, text = text }
  if not report then return said end
  for _, g in ipairs(report.gates or {}) do
    said.status = g.status
    for _, k in ipairs(g.checks or {}) do
      local function str(v) return type(v) == "string" and v or nil end
      said.findings[#said.findings + 1] = { status = k.status, severity = str(k.severity), class = str(k.class), object = str(k.object),
        detail = str(k.detail), failure = str(k.failure), reproduce = str(k.reproduce) }
    end
  end
  return said
end

--- Names of the schema public are the same with it and without; a function may be named with its arguments.
local function same_object(found, wanted)
  found, wanted = (found or ""):gsub("^public%.", ""), wanted:gsub("^public%.", "")
  return found == wanted or found:sub(1, #wanted + 1) == wanted .. "("
end

local function about(objects, finding)
  for _, object in ipairs(objects) do
    if same_object(finding.object, object) then return true end
  end
  return false
end

--- Is a finding about what a case's head names?
---@param c rls.Case
---@param finding table
---@return boolean
function verdict.is_about(c, finding)
  if c.kind ~= "real" then return about(c.objects, finding) and c.classes[finding.class or ""] == true end
  for _, find in ipairs(c.finds) do
    if about(find.objects, finding) and find.classes[finding.class or ""] then return true end
  end
  return false
end

--- Classes that say "there is a leak" and not which one.
local GENERAL = { cross_tenant_leak = true, role_bypasses_rls = true }

--- Outcomes of a leak: found (right class, right object), unnamed (right object, a general class), elsewhere (another object, or something
--- else about it), undecided (ERROR), passed.
---@param wanted {classes: table<string, boolean>, objects: string[]}
local function of_leak(wanted, said)
  local outcome
  for _, f in ipairs(said.findings) do
    if f.status == "FAIL" and about(wanted.objects, f) then
      if wanted.classes[f.class or ""] then return "found" end
      outcome = GENERAL[f.class or ""] and "unnamed" or outcome
    end
  end
  if outcome then return outcome end
  if said.status == "FAIL" then return "elsewhere" end
  return said.status == "PASS" and "passed" or "undecided"
end

--- Outcomes of a schema without a leak: clean, alarm (a leak is claimed), undecided (ERROR), unreported (an advisory or note is missing).
local function of_clean(c, said, reported)
  for _, f in ipairs(said.findings) do
    if f.status == "FAIL" then return "alarm" end
  end
  if said.status ~= "PASS" then return "undecided" end
  if not reported or not next(c.classes) then return "clean" end
  for _, f in ipairs(said.findings) do
    if about(c.objects, f) and c.classes[f.class or ""] and f.severity == c.severity then return "clean" end
  end
  return "unreported"
end

--- Of a schema in real/ as it is: no claim on what is right.
local function of_real(c, said)
  for _, f in ipairs(said.findings) do
    if f.status == "FAIL" and about(c.right, f) then return "alarm" end
  end
  return said.status == "NONE" and "undecided" or "clean"
end

--- What came of it, as one word, and of a schema in real/ one for each of its finds.
---@param c rls.Case
---@param said rls.Said
---@param closed boolean  with the case's @fix, or on a server that closes the leak
---@return string outcome, string[] finds
function verdict.judge(c, said, closed)
  local finds = {}
  if closed then return of_clean(c, said, false), finds end
  if c.kind == "real" then
    for i, find in ipairs(c.finds) do finds[i] = of_leak(find, said) end
    return of_real(c, said), finds
  elseif c.severity == "leak" then
    return of_leak(c, said), finds
  end
  return of_clean(c, said, true), finds
end

--- Is it what it should be?
---@param outcome string
---@return boolean
function verdict.is_right(outcome) return outcome == "found" or outcome == "clean" end

return verdict
