--- Runs test programs, several at a time, reads their TAP and gives true sums.
--
--   lua5.4 tests/runner.lua SUITE...        SUITE: c, lua, e2e, rls, services, releases
--
-- Run from the repository's root; BUILD names the build directory. The last line is `N passed, N failed`. What counts as a
-- failure besides a failed test: a program that crashes, hangs, ends before or beside its plan (TAP 13, "The plan"), exits with an
-- error though no test failed, or runs no test at all; a suite without a program. They are told in the order in which they end.
--
-- Environment: TEST_JOBS programs at a time (one a processor), TEST_TIMEOUT seconds per program (1200), TEST_ONLY and TEST_SKIP Lua
-- patterns over the programs' names, TEST_PRELOAD a library for LD_PRELOAD in Lua programs.

local build = os.getenv "BUILD" or "build"
local patience = os.getenv "TEST_TIMEOUT" or "1200"
local only = os.getenv "TEST_ONLY" or ""
local unwanted = os.getenv "TEST_SKIP"
local preload = os.getenv "TEST_PRELOAD" or ""
local jobs = os.getenv "TEST_JOBS" or "$(nproc)"

local passed, failed, skipped = 0, 0, 0

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local out = {}
  for line in pipe:lines() do
    out[#out + 1] = line
  end
  pipe:close()
  return out
end

-- LD_PRELOAD goes to the interpreter alone, through env: the shell and timeout around it are not instrumented.
local function busted(spec)
  local env = ("env %sLUA_PATH=%s LUA_CPATH=%s"):format(
    preload ~= "" and "LD_PRELOAD=" .. quote(preload) .. " " or "",
    quote("stdlib/?.lua;stdlib/?/init.lua;tests/?.lua;tests/lua/support/?.lua;;"), quote(build .. "/modules/?.so;;"))
  return env .. " lua5.4 /usr/bin/busted --output=TAP " .. quote(spec)
end

--- Each suite: how its programs are found, and the command for one of them.
local SUITES = {
  c = { find = "ls tests/c/test_*.c 2>/dev/null", command = function(source)
    return "env CMOCKA_MESSAGE_OUTPUT=TAP " .. quote(build .. "/tests/" .. source:match "([^/]+)%.c$")
  end },
  lua = { find = "find tests/lua -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
  e2e = { find = "find tests/e2e -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
  rls = { find = "find tests/rls -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
  releases = { find = "find tests/releases -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
  services = { find = "find tests/services -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
}

--- Reads one program's output. A program may print several plans (cmocka: one a group).
local function read_tap(path)
  local seen = { pass = 0, fail = 0, skip = 0, ran = 0, planned = nil, output = {} }
  for line in io.lines(path) do
    local plan = line:match "^1%.%.(%d+)"
    if plan then
      seen.planned = (seen.planned or 0) + tonumber(plan)
    elseif line:match "^not ok %d+ # SKIP " then -- as cmocka writes it; a failed test has " - " there
      seen.skip, seen.ran = seen.skip + 1, seen.ran + 1
    elseif line:match "^not ok%f[%W]" then
      seen.fail, seen.ran = seen.fail + 1, seen.ran + 1
    elseif line:match "^ok%f[%W]" then
      local skip = line:match "^ok[%s%d%-]*#%s*[Ss][Kk][Ii][Pp]" or line:match "%s#%s*[Ss][Kk][Ii][Pp]"
      seen[skip and "skip" or "pass"] = seen[skip and "skip" or "pass"] + 1
      seen.ran = seen.ran + 1
    end
    seen.output[#seen.output + 1] = line
  end
  return seen
end

--- Why the program as a whole is a failure though no test of its says so; nil where it is none.
local function flaw(seen, how, code)
  if how == "signal" then
    return ("ended by signal %d after %d tests"):format(code, seen.ran)
  elseif code == 124 or code == 137 then
    return ("did not end within %s s"):format(patience)
  elseif seen.planned == nil then
    return ("ended before its plan (exit %d, %d tests)"):format(code, seen.ran)
  elseif seen.planned ~= seen.ran then
    return ("planned %d tests and ran %d (exit %d)"):format(seen.planned, seen.ran, code)
  elseif seen.ran == 0 then
    return "ran no test"
  elseif code ~= 0 and seen.fail == 0 then
    return ("exit %d though no test failed"):format(code)
  end
end

--- What a program of this index ended with.
local function tell(program, output, code, seconds)
  local seen = read_tap(output)
  local how = "exit"
  -- The shell turns a signal of its child into 128 + n.
  if code > 128 and code ~= 137 then
    how, code = "signal", code - 128
  end
  local why = flaw(seen, how, code)
  if seen.fail > 0 or why then
    for _, line in ipairs(seen.output) do
      print("    " .. line)
    end
  end
  passed, skipped = passed + seen.pass, skipped + seen.skip
  failed = failed + seen.fail + (why and 1 or 0)
  print(("%-6s %s (%.1f s): %d passed%s%s%s"):format(
    (seen.fail > 0 or why) and "FAILED" or "ok", program, seconds, seen.pass,
    seen.fail > 0 and (", %d failed"):format(seen.fail) or "",
    seen.skip > 0 and (", %d skipped"):format(seen.skip) or "", why and (": " .. why) or ""))
  io.flush()
end

--- The programs of the suites that were named, in their order.
---@return { program: string, command: string }[]
local function collect(names)
  local list = {}
  for _, name in ipairs(names) do
    local suite = SUITES[name]
    if not suite then
      io.stderr:write(("runner: no suite %q; there are c, lua, e2e, rls, services and releases\n"):format(name))
      os.exit(2)
    end
    local before = #list
    for _, program in ipairs(lines_of(suite.find)) do
      if program:find(only) and not (unwanted and program:find(unwanted)) then
        list[#list + 1] = { program = program, command = suite.command(program) }
      end
    end
    if #list == before and only == "" then
      failed = failed + 1
      print(("FAILED %s: there is no test program"):format(name))
    end
  end
  return list
end

-- Each program is a script of its own that leaves its output beside itself and says in one line how it ended; xargs starts them.
local JOB = [[
began=$(date +%%s.%%3N)
timeout -k 10 %s %s >%s.out 2>&1 </dev/null
echo "%d $? $began $(date +%%s.%%3N)"
]]

local function run(list)
  local dir = lines_of "mktemp -d"[1]
  local index = assert(io.open(dir .. "/list", "w"))
  for i, job in ipairs(list) do
    local path = ("%s/%d"):format(dir, i)
    local script = assert(io.open(path, "w"))
    assert(script:write(JOB:format(patience, job.command, quote(path), i)))
    assert(script:close())
    assert(index:write(path, "\n"))
  end
  assert(index:close())
  local pipe = assert(io.popen(("xargs -a %s -r -d '\\n' -n 1 -P %s sh"):format(quote(dir .. "/list"), jobs)))
  for line in pipe:lines() do
    local i, code, began, ended = line:match "^(%d+) (%d+) ([%d.]+) ([%d.]+)$"
    local job = list[tonumber(i)]
    tell(job.program, ("%s/%s.out"):format(dir, i), math.tointeger(code), ended - began)
    job.told = true
  end
  pipe:close()
  for _, job in ipairs(list) do
    if not job.told then
      failed = failed + 1
      print(("FAILED %s: nothing tells how it ended"):format(job.program))
    end
  end
  os.execute("rm -rf -- " .. quote(dir))
end

run(collect(arg))

if skipped > 0 then
  print(("%d skipped"):format(skipped))
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0, true)
