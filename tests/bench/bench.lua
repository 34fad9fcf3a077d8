--- Measures gate-engine with hyperfine, each figure beside a named peer in the same run, and prints BENCHMARKS.md.
--
--   lua5.4 tests/bench/bench.lua >BENCHMARKS.md       (or `make bench`)
--
-- BENCH_RUNS: repetitions of each measurement (10). BENCH_ONLY: a Lua pattern over the tables' titles.
package.path = "tests/bench/?.lua;stdlib/?.lua;" .. package.path
local json = require "engine.json"

local build = os.getenv "BUILD" or "build"
local runs = tonumber(os.getenv "BENCH_RUNS" or "") or 10
local only = os.getenv "BENCH_ONLY" or ""

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function capture(command)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  assert(pipe:close(), "failed: " .. command)
  return (out:gsub("%s+$", ""))
end

local root = capture "pwd"
local engine = (build:sub(1, 1) == "/" and build or root .. "/" .. build) .. "/gate-engine"
local scratch = capture "mktemp -d /tmp/gate-engine-bench.XXXXXX && chmod 755 /tmp/gate-engine-bench.*"
scratch = scratch:match "[^\n]+"
local state = scratch .. "/state"
local pg = capture "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1"
local as_postgres = capture "id -u" == "0" and "setpriv --reuid=postgres --regid=postgres --init-groups " or ""

--- Runs commands of one group together, so that ratios compare what ran side by side; returns hyperfine's results by name.
---@param commands {name: string, command: string, prepare?: string}[]
---@param repeats integer?  BENCH_RUNS
local function measure(commands, repeats)
  local words = { "env", "-u", "DATABASE_URL", "GATE_ENGINE_STATE=" .. quote(state), "hyperfine", "--style", "none", "--warmup", "1",
    "--runs", tostring(repeats or runs), "--export-json", quote(scratch .. "/out.json") }
  local prepares = false
  for _, c in ipairs(commands) do prepares = prepares or c.prepare end
  for _, c in ipairs(commands) do
    if prepares then
      words[#words + 1] = "--prepare " .. quote(c.prepare or "true")
    end
    words[#words + 1] = "--command-name " .. quote(c.name) .. " " .. quote(c.command)
  end
  local command = "cd " .. quote(scratch) .. " && " .. table.concat(words, " ") .. " >&2"
  assert(os.execute(command), "hyperfine failed: " .. command)
  local f = assert(io.open(scratch .. "/out.json"))
  local results = json.decode(f:read "a").results
  f:close()
  return results
end

local function cell(seconds)
  if seconds >= 1 then return ("%.2f s"):format(seconds) end
  return (seconds < 0.01 and "%.2f ms" or "%.0f ms"):format(seconds * 1000)
end

local function times(ratio) return (ratio < 2 and "%.2f" or "%.1f"):format(ratio) end

--- One table; the first command is the peer. Returns the results by the commands' order, or false where it was not wanted.
local function section(title, text, commands, repeats)
  if not title:find(only) then return false end
  local results = measure(commands, repeats)
  print(("\n## %s\n\n%s\n"):format(title, text))
  print "| what | mean | σ | min | max | × peer |"
  print "|---|---:|---:|---:|---:|---:|"
  for i, r in ipairs(results) do
    print(("| %s | %s | %s | %s | %s | %s |"):format(r.command, cell(r.mean), cell(r.stddev or 0), cell(r.min), cell(r.max),
      i == 1 and "peer" or times(r.mean / results[1].mean)))
  end
  return results
end

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[n // 2 + 1] or (list[n // 2] + list[n // 2 + 1]) / 2
end

local function deviation(list, mean)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + (v - mean) ^ 2 end
  return math.sqrt(sum / math.max(#list - 1, 1))
end

--- One table of small differences: each round runs every command once, so that what the machine does meanwhile meets all of them alike;
--- a ratio is the median of the rounds' ratios, and of processor time (user and system), which does not count others' turns.
local function paired(title, text, commands)
  if not title:find(only) then return end
  local wall, cpu = {}, {}
  for round = 1, 2 * runs do
    for i, r in ipairs(measure(commands, 1)) do
      wall[i], cpu[i] = wall[i] or {}, cpu[i] or {}
      wall[i][round], cpu[i][round] = r.mean, r.user + r.system
    end
  end
  print(("\n## %s\n\n%s\n"):format(title, text))
  print "| what | median | σ | processor time, median | difference, median | × peer, median |"
  print "|---|---:|---:|---:|---:|---:|"
  for i, c in ipairs(commands) do
    local ratios, more, sum = {}, {}, 0
    for round = 1, 2 * runs do
      ratios[round], more[round] = cpu[i][round] / cpu[1][round], cpu[i][round] - cpu[1][round]
      sum = sum + wall[i][round]
    end
    local sigma = deviation(wall[i], sum / (2 * runs))
    print(("| %s | %s | %s | %s | %s | %s |"):format(c.name, cell(median(wall[i])), cell(sigma), cell(median(cpu[i])),
      i == 1 and "" or ("%+.1f ms"):format(median(more) * 1000), i == 1 and "peer" or ("%.2f"):format(median(ratios))))
  end
end

local function sh(command)
  assert(os.execute("GATE_ENGINE_STATE=" .. quote(state) .. " " .. command .. " >&2"), "failed: " .. command)
end

local WORK = require "work"

local function write(name, ...)
  local f = assert(io.open(scratch .. "/" .. name, "wb"))
  assert(f:write(...))
  assert(f:close())
end

local audit = engine:gsub("gate%-engine$", "gate-audit")

--- Writes what gate-audit reads: one frame, the audit and its plan.
local function write_audit(name, body, plan)
  local job = json.encode { source = ("return { name = 'bench', audit = function() %s end }"):format(body), path = name, memory = 512 << 20,
    helpers = {} }
  plan = plan or "{}"
  write(name, string.pack(">I4I4", #job, #plan), job, plan)
end

--- A value as Lua source.
local function lua_source(value)
  if value == json.null then return "false" end
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = (math.type(k) and "" or ("[%q]="):format(k)) .. lua_source(v) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A week of 1,385 tours on its way to an audit that does nothing.
local function plan()
  sh(("%s run %s/gates/golden_path_e2e.lua --dataset gurkerl_full --artifacts %s/week"):format(engine, root, quote(scratch)))
  local f = assert(io.open(scratch .. "/week/audit-plan.json"))
  local text = f:read "a"
  f:close()
  write("week.lua", "return ", lua_source(json.decode(text)))
  write_audit("week.frame", "", text)
  write("alone.lua", "return { name = 'alone', pack = 'roster', audit = function() end }")
  paired("A plan's way to its audit", ("A week of 1,385 tours (%.2f MB of JSON), to an audit that does nothing. "):format(#text / 1e6)
    .. "The peer loads the same tables as Lua source.", {
    { name = "`lua5.4 week.lua`", command = "lua5.4 week.lua" },
    { name = "`gate-audit`", command = audit .. " <week.frame" },
    { name = "`run AUDIT --plan FILE`", command = engine .. " run ./alone.lua --plan week/audit-plan.json" },
  })
end

local function audits()
  write_audit("empty.frame", "")
  paired("An audit's start", "An empty audit in a process of its own, kernel rings included, on an empty plan.", {
    { name = "`lua5.4 -e ''`", command = "lua5.4 -e ''" },
    { name = "`gate-audit`, empty audit", command = audit .. " <empty.frame" },
  })
  for i, work in ipairs(WORK) do
    local name = "work" .. i
    write_audit(name .. ".frame", work[2])
    write(name .. ".lua", work[2])
    paired("An audit's work: " .. work[1], "The same script in a plain interpreter and as an audit, start included.", {
      { name = "`lua5.4`", command = "lua5.4 " .. name .. ".lua" },
      { name = "`gate-audit`", command = audit .. " <" .. name .. ".frame" },
    })
  end
end

--- The gate's own work in a run, in milliseconds, as its report says it; the median of several runs.
local function gate_work(command)
  local times_ms = {}
  for i = 1, runs do
    assert(os.execute(("cd %s && GATE_ENGINE_STATE=%s %s --report json=work.json >/dev/null 2>&1"):format(
      quote(scratch), quote(state), command)), "failed: " .. command)
    local f = assert(io.open(scratch .. "/work.json"))
    times_ms[i] = json.decode(f:read "a").gates[1].duration_ms
    f:close()
  end
  return median(times_ms)
end

--- `new gate`, one edit, `check`, `run`: on a kept server, and beside it a gate that reaches nothing.
local function newcomer()
  local edit = "sed -i 's/Every tenant has its row/It is there/' first.lua"
  sh(("cd %s && rm -f first*.lua && %s new gate first"):format(quote(scratch), engine))
  local f = assert(io.open(scratch .. "/bare.lua", "w"))
  f:write 'return require("gate").define { api = 1, id = "bare", name = "Bare", run = function(ctx)\n'
  f:write '  ctx:check("nothing is reached", function() end)\nend }\n'
  f:close()
  local kept, bare = gate_work(engine .. " run ./first.lua"), gate_work(engine .. " run ./bare.lua")
  section("A newcomer's path", ("The first gate: made, edited, checked (without luacheck and with it), run on a kept server, its way out. "
    .. "The peer is the edit. Of a run the gate's own work (its `duration_ms` in the report: its process, its connection, its checks) "
    .. "took %.1f ms in the median; of the gate that reaches nothing, %.1f ms. The rest is the engine's: the program, the head, the "
    .. "configuration, the tenant, the report."):format(kept, bare), {
    { name = "edit one line (`sed`)", command = edit },
    { name = "`new gate first`", prepare = "rm -f first.lua first_spec.lua", command = engine .. " new gate first" },
    { name = "`check ./first.lua`, no luacheck", prepare = edit, command = "env PATH=/nowhere " .. engine .. " check ./first.lua" },
    { name = "`check ./first.lua`, luacheck", command = engine .. " check ./first.lua" },
    { name = "`run ./first.lua`", command = engine .. " run ./first.lua" },
    { name = "`run ./bare.lua`, which reaches nothing", command = engine .. " run ./bare.lua" },
    { name = "`run ./first.lua --trace`", command = engine .. " run ./first.lua --trace" },
    { name = "`recover ./first.lua`", command = engine .. " recover ./first.lua --at-least 2" },
  })
end

local function main()
  print "# Benchmarks\n"
  print "Measured by `make bench` (hyperfine, one warm-up). Each table has its peer, measured in the same run, in its first line.\n"
  print(("* date: %s"):format(os.date "!%Y-%m-%d"))
  print(("* machine: %s, %s processors, Linux %s"):format(
    capture "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1", capture "nproc", capture "uname -r"))
  print(("* %s; %s; %s"):format(capture(engine .. " version | head -1"), capture(pg .. "/postgres --version"),
    capture "lua5.4 -v | cut -c1-9"))
  print(("* %d repetitions each"):format(runs))

  section("Start-up", "How long the program takes to start and end again, doing nothing.", {
    { name = "`lua5.4 -e ''`", command = "lua5.4 -e ''" },
    { name = "`gate-engine --help`", command = engine .. " --help" },
    { name = "`gate-engine check gates/rls_harness.lua`", command = engine .. " check gates/rls_harness.lua" },
  })

  audits()
  plan()

  section("Database start", "A server ready for queries, and stopped again. "
    .. "The engine makes its template once (cold) and copies it for each run (warm).", {
    { name = "`initdb`, `pg_ctl start`, `pg_ctl stop`",
      prepare = ("rm -rf %s/peer; mkdir %s/peer; %s true"):format(scratch, scratch,
        as_postgres ~= "" and ("chown postgres: " .. scratch .. "/peer;") or ""),
      command = ("%ssh -c \"%s/initdb -D %s/peer/d -A trust -N >/dev/null"
        .. " && %s/pg_ctl -w -D %s/peer/d -l %s/peer/log -o '-k %s/peer -c listen_addresses=' start >/dev/null"
        .. " && %s/pg_ctl -w -m fast -D %s/peer/d stop >/dev/null\"")
        :format(as_postgres, pg, scratch, pg, scratch, scratch, scratch, pg, scratch) },
    { name = "`platform start`, `platform stop`, cold", prepare = "rm -rf " .. state,
      command = ("%s platform start && %s platform stop"):format(engine, engine) },
    { name = "`platform start`, `platform stop`, warm", command = ("%s platform start && %s platform stop"):format(engine, engine) },
  })

  sh(engine .. " platform start")
  local socket = capture(("GATE_ENGINE_STATE=%s %s platform status | sed -n 's/^socket: \\([^,]*\\),.*/\\1/p'")
    :format(quote(state), engine))
  local gates = { { name = "`psql -c 'select 1'`", command = ("psql -X -h %s -U postgres -d platform -c 'select 1'"):format(socket) } }
  for _, id in ipairs { "rls_harness", "determinism_proof", "golden_path_e2e", "integrations_contract" } do
    gates[#gates + 1] = { name = ("`run gates/%s.lua`"):format(id), command = ("%s run gates/%s.lua"):format(engine, id) }
  end
  section("Each gate", "On a kept server (`platform start`), so without the start of a database.", gates)
  newcomer()
  sh(engine .. " platform stop")

  section("The full onboarding validation",
    "`scripts/all.lua`, a server of its own for each run. The peer is the start of a database, without which nothing can be validated.", {
    { name = "`platform start`, `platform stop`, warm", command = ("%s platform start && %s platform stop"):format(engine, engine) },
    { name = "`run scripts/all.lua`, warm", command = engine .. " run scripts/all.lua" },
    { name = "`run scripts/all.lua`, cold", prepare = "rm -rf " .. state, command = engine .. " run scripts/all.lua" },
  })
end

local function read_json(name)
  local f = assert(io.open(scratch .. "/" .. name))
  local value = json.decode(f:read "a")
  f:close()
  return value
end

local function all()
  main()
  local bench = { build = engine:match "^(.*)/", scratch = scratch, runs = runs, write = write, read_json = read_json, measure = measure,
    capture = capture, median = median, wants = function(title) return title:find(only) ~= nil end }
  require("packs").roster(bench)
  require("packs").json(bench)
  if only == "" or only:find "Gate 1" then
    require("rls").run { engine = engine, scratch = scratch, write = write, read_json = read_json, section = section,
      wants = function(title) return title:find(only) ~= nil end }
  end
end

local ok, why = xpcall(all, debug.traceback)
os.execute(("GATE_ENGINE_STATE=%s %s platform stop >/dev/null 2>&1; rm -rf -- %s"):format(quote(state), engine, quote(scratch)))
if not ok then
  io.stderr:write(tostring(why), "\n")
  os.exit(1)
end
