--- Fails allocation 1, 2, 3, … of one process of a run, one at a time, until the run does not reach it any more; says what went wrong.
--
-- The method is that of SQLite's tests ("How SQLite is tested", out-of-memory testing) and of Lua's ltests. Two ways each: the allocation
-- fails once, or it and all that follow fail.
-- Two samples come alternately, so that a short sweep has both.
--
-- Environment: FAULT_SAMPLES numbers per sweep ("all": every one; "paths": the first on each call path, which finds what "all" does
-- but for what depends on data; default 12, evenly spread), FAULT_SEED where among them to begin (1),
-- FAULT_TRACE=1 shows the place of each allocation that went wrong.
local support = require "support"
local json = require "engine.json"

local sweep = {}
local quote = support.quote

local RUN = support.build .. "/tests/fault/run"
local LIBRARY = support.build .. "/tests/fault/fault.so"
local BOUND_S = 90
local SAMPLES = os.getenv "FAULT_SAMPLES"
local SEED = tonumber(os.getenv "FAULT_SEED" or "1")
local TRACE = os.getenv "FAULT_TRACE"
-- What a sanitizer build is told by its environment; the library stands before its runtime.
local SANITIZERS = ""
for _, name in ipairs { "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS" } do
  local value = os.getenv(name)
  if value then SANITIZERS = SANITIZERS .. ("%s=%s "):format(name, quote(value)) end
end

--- What one run ends with.
---@class fault.result
---@field how "exit"|"signal"|"timeout"
---@field code integer
---@field failed integer allocations that failed; 0 = number N was never asked for
---@field calls integer allocations of the process
---@field left integer processes that outlived the program
---@field where string with FAULT_TRACE, the place
---@field stdout string
---@field stderr string
---@field files table<string, string> each report that was asked for and is there
---@field listing string the names in working and state directory

---@class fault.case
---@field argv string[] arguments; a directory is made for them from `setup`
---@field program? string default gate-engine
---@field stdin? string path
---@field setup fun(dir: string) writes what the run needs into its working directory
---@field reports? string[] files the run writes
---@field process? integer 0 (default) = the program, k = the k-th process it forks
---@field inside? string the program it starts that is linked with the library, instead
---@field before? fun(dir: string) before each run
---@field warns? string a pattern: lines on standard error that may stand there besides, the rest being as without a fault
---@field judge? fun(r: fault.result): string|nil what is wrong with an end that is not as without a fault, for a program of another kind
---@field code? integer exit code without a fault (0)
---@field depth? integer how deep the state directory is looked at (all of it)
---@field samples? integer as FAULT_SAMPLES, where a run is slow

local function listing(dir, depth)
  local pipe = assert(io.popen(("cd %s && { find work -mindepth 1; find state -mindepth 1 -maxdepth %d; } | LC_ALL=C sort"):format(
    quote(dir), depth or 9)))
  local text = pipe:read "a"
  pipe:close()
  return text
end

---@param case fault.case
---@param at integer
---@param onwards boolean
---@return fault.result
local function run(case, dir, at, onwards, paths)
  for _, name in ipairs(case.reports or {}) do
    os.remove(dir .. "/work/" .. name)
  end
  if case.before then case.before(dir) end
  local words = {}
  for i, word in ipairs(case.argv) do words[i] = quote(word) end
  local out, err = dir .. "/stdout", dir .. "/stderr"
  local command = ("cd %s/work && env -i PATH=/usr/bin:/bin HOME=%s GATE_ENGINE_STATE=%s/state %s %s --at %d --bound %d --process %d "
    .. "%s %s %s %s %s %s %s %s %s %s"):format(quote(dir), quote(dir), quote(dir), SANITIZERS, RUN, at, BOUND_S, case.process or 0,
      onwards and "--onwards" or "",
      paths and "--paths" or TRACE and "--trace" or "", case.inside and "--inside " .. quote(case.inside) or "",
      quote(dir .. "/page"), LIBRARY, case.stdin and quote(case.stdin) or "/dev/null", quote(out), quote(err),
      quote(case.program or support.engine), table.concat(words, " "))
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  local how, code, failed, calls, forks, left = text:match "^(%a+) (%d+) failed (%d+) calls (%d+) forks (%d+) left (%d+)\n"
  assert(how, "the runner said " .. text .. " to " .. command)
  local result = { how = how, code = tonumber(code), failed = tonumber(failed), calls = tonumber(calls), left = tonumber(left),
    forks = tonumber(forks), where = text:match "\n(.*)", stdout = support.read(out) or "", stderr = support.read(err) or "", files = {},
    command = command }
  for _, name in ipairs(case.reports or {}) do
    result.files[name] = support.read(dir .. "/work/" .. name)
  end
  result.listing = listing(dir, case.depth)
  return result
end

--- What differs between two runs without a fault.
local function steady(text)
  return (text:gsub('("duration_ms": )[%d.eE+-]+', "%1"):gsub('("started": )"[^"]*"', "%1"):gsub('("peak": )[%d.eE+-]+', "%1")
    :gsub('("current": )[%d.eE+-]+', "%1"):gsub("current [^,]*, peak [^,]*, limit", "current, peak, limit")
    :gsub(' time="[%d.]*"', ""):gsub(' timestamp="[^"]*"', ""):gsub("%([%d.]+ ms%)", ""):gsub("after %d+ ms", "")
    :gsub("%d+%.%d+ ms", ""):gsub("/tmp/gate%-engine%-%w+", "/tmp/gate-engine-"))
end

local function same(a, b)
  if a.code ~= b.code or steady(a.stdout) ~= steady(b.stdout) or steady(a.stderr) ~= steady(b.stderr) then return false end
  for name, text in pairs(b.files) do
    if not a.files[name] or steady(a.files[name]) ~= steady(text) then return false end
  end
  return a.listing == b.listing
end

--- A gate's entries without times, to compare.
local function entries(gate)
  local out = {}
  for i, check in ipairs(gate.checks) do
    out[i] = ("%s|%s|%s|%s|%s"):format(check.name, check.status, tostring(check.class), tostring(check.object), tostring(check.detail))
  end
  return table.concat(out, "\n")
end

--- What is wrong with a JSON report of a run that was not unharmed, or nil.
local function flaw_json(text, code, wanted)
  local ok, report = pcall(json.decode, text)
  if not ok then return "a JSON report that cannot be read: " .. tostring(report) end
  if report.approved ~= false then return "a report that approves" end
  if report.status == "PASS" then return "a report that says PASS" end
  if report.exit_code ~= code then return ("a report that says exit %s"):format(tostring(report.exit_code)) end
  local complete = wanted and json.decode(wanted)
  for i, gate in ipairs(report.gates) do
    local other = complete and complete.gates[i]
    if gate.status == "PASS" and not (other and other.status == "PASS" and entries(gate) == entries(other)) then
      return "a gate that passes with less than its checks: " .. entries(gate)
    end
  end
end

--- Every element closed in order, and at least one problem told.
local function flaw_xml(text)
  local open = {}
  for closing, name, rest in text:gmatch "<(/?)([%a][%w-]*)([^>]*)>" do
    if closing == "/" then
      if table.remove(open) ~= name then return "a JUnit report whose elements do not match" end
    elseif rest:sub(-1) ~= "/" then
      open[#open + 1] = name
    end
  end
  if #open > 0 or not text:find "</testsuites>%s*$" then return "a JUnit report that is cut off" end
  if not text:find("<error", 1, true) and not text:find("<failure", 1, true) then return "a JUnit report without a problem" end
end

--- Why this end is not right, or nil.
---@param r fault.result
---@param good fault.result the same run without a fault
local function flaw(case, r, good)
  if r.how ~= "exit" then return ("ended by %s %d"):format(r.how, r.code) end
  if r.left > 0 then return ("left %d processes"):format(r.left) end
  local socket = r.stderr:match "socket (/tmp/gate%-engine%-%w+),"
  if socket and os.rename(socket, socket) then return "left " .. socket end
  if same(r, good) then return nil end
  if case.warns and r.code == good.code then
    local rest = {}
    for line in r.stderr:gmatch "[^\n]*\n" do
      if not line:find(case.warns) then rest[#rest + 1] = line end
    end
    local quiet = { code = r.code, stdout = r.stdout, stderr = table.concat(rest), files = r.files, listing = r.listing }
    if same(quiet, good) then return nil end
  end
  if r.failed == 0 then return "differs though nothing failed" end
  if case.judge then return case.judge(r) end
  local of_worker = (case.process or 0) > 0 or case.inside ~= nil
  local said = r.stdout .. r.stderr
  for _, text in pairs(r.files) do said = said .. text end
  if r.code == 0 then return "exit 0, and not the same as without a fault" end
  if r.code ~= 2 and r.code ~= 3 and not (of_worker and r.code == 1 and good.code == 1) then
    return "exit " .. r.code
  end
  if not said:lower():find("memory", 1, true) then return "does not say that memory ran out" end
  if said:find("is approved", 1, true) then return "says approved" end
  if said:find("ended by signal", 1, true) then return "a process ended by a signal: " .. said:match "ended by signal[^\n]*" end
  for name, text in pairs(r.files) do
    local why
    if name:find "%.json$" then why = flaw_json(text, r.code, good.files[name]) else why = flaw_xml(text) end
    if why then return why end
  end
  local names = good.listing
  for _, name in ipairs(case.reports or {}) do
    if not r.files[name] then names = names:gsub("work/" .. name:gsub("%p", "%%%0") .. "\n", "") end
  end
  for line in r.listing:gmatch "[^\n]+" do
    if not ("\n" .. names):find("\n" .. line .. "\n", 1, true) then
      return "left a file: " .. line
    end
  end
end

--- The runs of a sweep, each a number and a way; the last two reach no allocation.
local function plan(calls, most, paths)
  local out = {}
  local function add(n, onwards) out[#out + 1] = { n = n, onwards = onwards } end
  if SAMPLES == "paths" then
    for n in paths:gmatch "%d+" do
      add(tonumber(n), false)
      add(tonumber(n), true)
    end
  elseif SAMPLES == "all" then
    for n = 1, calls do
      add(n, false)
      add(n, true)
    end
  else
    local count = tonumber(SAMPLES) or most or 12
    local step = math.max(1, calls / count)
    local at = 1 + SEED * 0.618034 % 1 * (step - 1) -- another place within a step for each seed
    for i = 1, math.min(count, calls) do
      add(math.floor(at), i % 2 == 0)
      at = at + step
    end
  end
  add(calls + 1, false)
  add(calls + 1, true)
  return out
end

--- Sweeps one case.
---@param case fault.case
---@return string[] problems one line each
---@return integer tried
---@return integer calls of the process without a fault
function sweep.run(case)
  local dir = support.tmpdir()
  support.shell(("mkdir %s/work %s/state"):format(quote(dir), quote(dir)))
  case.setup(dir .. "/work")
  run(case, dir, 0, false) -- what a first run makes for the later ones is there then
  local good = run(case, dir, 0, false, SAMPLES == "paths")
  assert(good.how == "exit" and good.left == 0, good.stderr)
  assert(good.code == (case.code or 0), ("exit %d without a fault\n%s%s"):format(good.code, good.stdout, good.stderr))
  assert(good.calls > 0, "the process allocates nothing: there is no such process")
  local problems, tried = {}, 0
  local list = plan(good.calls, case.samples, good.where)
  local i = 1
  while i <= #list do
    local n, onwards = list[i].n, list[i].onwards
    local r = run(case, dir, n, onwards)
    tried = tried + 1
    local why = flaw(case, r, good)
    if why then
      problems[#problems + 1] = ("allocation %d%s: %s"):format(n, onwards and " and all later ones" or "", why)
      if TRACE then
        problems[#problems] = problems[#problems] .. "\n" .. r.where .. "\n--- stdout\n" .. r.stdout .. "--- stderr\n" .. r.stderr
          .. "---\n" .. r.command
      end
    end
    -- This run asks for more than the one that was counted: on to one that is not reached.
    if n > good.calls and r.failed > 0 then list[#list + 1] = { n = n + 1, onwards = onwards } end
    i = i + 1
  end
  return problems, tried, good.calls
end

return sweep
