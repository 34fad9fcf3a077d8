--- Measures gate-engine with hyperfine, each figure beside a named peer in the same run, and prints BENCHMARKS.md.
--
--   lua5.4 tests/bench/bench.lua >BENCHMARKS.md       (or `make bench`)
--
-- BENCH_RUNS: repetitions of each measurement (10).
local json = require "engine.json"

local build = os.getenv "BUILD" or "build"
local runs = tonumber(os.getenv "BENCH_RUNS" or "") or 10

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
local function measure(commands)
  local words = { "env", "-u", "DATABASE_URL", "GATE_ENGINE_STATE=" .. quote(state), "hyperfine", "--style", "none", "--warmup", "1",
    "--runs", tostring(runs), "--export-json", quote(scratch .. "/out.json") }
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

--- One table; the first command is the peer.
local function section(title, text, commands)
  local results = measure(commands)
  print(("\n## %s\n\n%s\n"):format(title, text))
  print "| what | mean | σ | min | max | × peer |"
  print "|---|---:|---:|---:|---:|---:|"
  for i, r in ipairs(results) do
    print(("| %s | %s | %s | %s | %s | %s |"):format(r.command, cell(r.mean), cell(r.stddev or 0), cell(r.min), cell(r.max),
      i == 1 and "peer" or ("%.1f"):format(r.mean / results[1].mean)))
  end
end

local function sh(command)
  assert(os.execute("GATE_ENGINE_STATE=" .. quote(state) .. " " .. command .. " >&2"), "failed: " .. command)
end

-- What an audit and a plain interpreter both can run: calls, strings, a sort, tables.
local WORK = [[
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
fib(30)
local t, parts, m = {}, {}, {}
for i = 1, 200000 do t[i], parts[i], m["k" .. i] = (i * 7919) % 100003, ("%d:%s"):format(i, "x"), i end
table.sort(t)
local n = 0
for w in table.concat(parts, ","):gmatch "%d+" do n = n + #w end]]

--- Writes what gate-audit reads: one frame, the audit and its plan.
local function write_audit(name, body)
  local job = json.encode { source = ("return { name = 'bench', audit = function() %s end }"):format(body), path = name, memory = 512 << 20,
    helpers = {} }
  local f = assert(io.open(scratch .. "/" .. name, "wb"))
  f:write(string.pack(">I4I4", #job, 2), job, "{}")
  f:close()
end

local function audits()
  local audit = engine:gsub("gate%-engine$", "gate-audit")
  write_audit("empty.frame", "")
  write_audit("work.frame", WORK)
  local f = assert(io.open(scratch .. "/work.lua", "w"))
  f:write(WORK)
  f:close()
  section("An audit's start", "An empty audit in a process of its own, kernel rings included, on an empty plan.", {
    { name = "`lua5.4 -e ''`", command = "lua5.4 -e ''" },
    { name = "`gate-audit`, empty audit", command = audit .. " <empty.frame" },
  })
  section("An audit's work", "The same calls, strings, sort and tables in a plain interpreter and as an audit.", {
    { name = "`lua5.4`", command = "lua5.4 work.lua" },
    { name = "`gate-audit`", command = audit .. " <work.frame" },
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
  local edit = "sed -i 's/Every tenant has its row/It is there/' first.lua"
  sh(("cd %s && rm -f first*.lua && %s new gate first"):format(quote(scratch), engine))
  section("A newcomer's path", "The first gate: made, edited, checked (without luacheck and with it), run on a kept server, its way out. "
    .. "The peer is the edit.", {
    { name = "edit one line (`sed`)", command = edit },
    { name = "`new gate first`", prepare = "rm -f first.lua first_spec.lua", command = engine .. " new gate first" },
    { name = "`check ./first.lua`, no luacheck", prepare = edit, command = "env PATH=/nowhere " .. engine .. " check ./first.lua" },
    { name = "`check ./first.lua`, luacheck", command = engine .. " check ./first.lua" },
    { name = "`run ./first.lua`", command = engine .. " run ./first.lua" },
    { name = "`run ./first.lua --trace`", command = engine .. " run ./first.lua --trace" },
    { name = "`recover ./first.lua`", command = engine .. " recover ./first.lua --at-least 2" },
  })
  sh(engine .. " platform stop")

  section("The full onboarding validation",
    "`scripts/all.lua`, a server of its own for each run. The peer is the start of a database, without which nothing can be validated.", {
    { name = "`platform start`, `platform stop`, warm", command = ("%s platform start && %s platform stop"):format(engine, engine) },
    { name = "`run scripts/all.lua`, warm", command = engine .. " run scripts/all.lua" },
    { name = "`run scripts/all.lua`, cold", prepare = "rm -rf " .. state, command = engine .. " run scripts/all.lua" },
  })
end

local ok, why = xpcall(main, debug.traceback)
os.execute(("GATE_ENGINE_STATE=%s %s platform stop >/dev/null 2>&1; rm -rf -- %s"):format(quote(state), engine, quote(scratch)))
if not ok then
  io.stderr:write(tostring(why), "\n")
  os.exit(1)
end
