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

local function times(ratio) return (ratio < 2 and "%.2f" or "%.1f"):format(ratio) end

--- One table; the first command is the peer.
local function section(title, text, commands)
  local results = measure(commands)
  print(("\n## %s\n\n%s\n"):format(title, text))
  print "| what | mean | σ | min | max | × peer |"
  print "|---|---:|---:|---:|---:|---:|"
  for i, r in ipairs(results) do
    print(("| %s | %s | %s | %s | %s | %s |"):format(r.command, cell(r.mean), cell(r.stddev or 0), cell(r.min), cell(r.max),
      i == 1 and "peer" or times(r.mean / results[1].mean)))
  end
end

local function sh(command)
  assert(os.execute("GATE_ENGINE_STATE=" .. quote(state) .. " " .. command .. " >&2"), "failed: " .. command)
end

-- What an audit and a plain interpreter both can run, each kind of work by itself.
local WORK = {
  { "calls (fib)", [[
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
fib(31)]] },
  { "strings", [[
local parts, n = {}, 0
for i = 1, 150000 do parts[i] = ("%d:%s"):format(i, "x") end
local s = table.concat(parts, ",")
for w in s:gmatch "%d+" do n = n + #w end
s = s:gsub("x", "yy"):upper():rep(2):reverse()
for i = 1, 300000 do n = n + s:byte(i) + #s:sub(i, i + 5) end]] },
  { "tables, with pairs", [[
local t, m, x, n = {}, {}, 42, 0
for i = 1, 100000 do
  x = (x * 1103515245 + 12345) % 2147483648
  t[i], m["k" .. i] = x, i
end
table.sort(t)
table.sort(t, function(a, b) return a > b end)
for _, v in pairs(m) do n = n + v end
for _, v in ipairs(t) do n = n + v end
for _ = 1, 200000 do table.insert(t, table.remove(t)) end]] },
  { "JSON, written and read in Lua", [==[
local function decode(s)
  local pos = 1
  local value
  local function skip() pos = s:find("%S", pos) or #s + 1 end
  local function str()
    local e = s:find('"', pos + 1, true)
    local r = s:sub(pos + 1, e - 1)
    pos = e + 1
    return r
  end
  function value()
    skip()
    local c = s:sub(pos, pos)
    if c == "{" then
      local t = {}
      pos = pos + 1
      skip()
      if s:sub(pos, pos) == "}" then pos = pos + 1 return t end
      while true do
        skip()
        local k = str()
        skip()
        pos = pos + 1
        t[k] = value()
        skip()
        local d = s:sub(pos, pos)
        pos = pos + 1
        if d == "}" then return t end
      end
    elseif c == "[" then
      local t = {}
      pos = pos + 1
      while true do
        t[#t + 1] = value()
        skip()
        local d = s:sub(pos, pos)
        pos = pos + 1
        if d == "]" then return t end
      end
    elseif c == '"' then return str()
    else
      local w = s:match("^[%w.+-]+", pos)
      pos = pos + #w
      return tonumber(w) or w == "true"
    end
  end
  return value()
end
local function encode(v, out)
  if type(v) == "table" then
    if #v > 0 then
      out[#out + 1] = "["
      for i, x in ipairs(v) do if i > 1 then out[#out + 1] = "," end encode(x, out) end
      out[#out + 1] = "]"
    else
      local keys = {}
      for k in pairs(v) do keys[#keys + 1] = k end
      table.sort(keys)
      out[#out + 1] = "{"
      for i, k in ipairs(keys) do
        if i > 1 then out[#out + 1] = "," end
        out[#out + 1] = '"' .. k .. '":'
        encode(v[k], out)
      end
      out[#out + 1] = "}"
    end
  elseif type(v) == "string" then out[#out + 1] = '"' .. v .. '"'
  else out[#out + 1] = tostring(v) end
end
local list = {}
for i = 1, 3000 do
  list[i] = { id = i, name = "tour " .. i, skills = { "cold", "heavy" }, start = i * 15, ["end"] = i * 15 + 240, ok = i % 2 == 0 }
end
for _ = 1, 3 do
  local out = {}
  encode(list, out)
  local text = table.concat(out)
  local back = decode(text)
  assert(#back == 3000)
end]==] },
}

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
  section("An audit's start", "An empty audit in a process of its own, kernel rings included, on an empty plan.", {
    { name = "`lua5.4 -e ''`", command = "lua5.4 -e ''" },
    { name = "`gate-audit`, empty audit", command = audit .. " <empty.frame" },
  })
  for i, work in ipairs(WORK) do
    local name = "work" .. i
    write_audit(name .. ".frame", work[2])
    local f = assert(io.open(scratch .. "/" .. name .. ".lua", "w"))
    f:write(work[2])
    f:close()
    section("An audit's work: " .. work[1], "The same script in a plain interpreter and as an audit, start included.", {
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
  table.sort(times_ms)
  return times_ms[(#times_ms + 1) // 2]
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

local ok, why = xpcall(main, debug.traceback)
os.execute(("GATE_ENGINE_STATE=%s %s platform stop >/dev/null 2>&1; rm -rf -- %s"):format(quote(state), engine, quote(scratch)))
if not ok then
  io.stderr:write(tostring(why), "\n")
  os.exit(1)
end
