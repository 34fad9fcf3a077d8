--- Runs test programs one after another, reads their TAP and gives true sums.
--
--   lua5.4 tests/runner.lua SUITE...        SUITE: c, lua, e2e, rls, services
--
-- Run from the repository's root; BUILD names the build directory. The last line is `N passed, N failed`. What counts as a
-- failure besides a failed test: a program that crashes, hangs, ends before or beside its plan (TAP 13, "The plan"), exits with an
-- error though no test failed, or runs no test at all; a suite without a program. Environment: TEST_TIMEOUT seconds per
-- program (1200), TEST_ONLY and TEST_SKIP Lua patterns over the programs' names, TEST_PRELOAD a library for LD_PRELOAD in Lua programs.

local build = os.getenv "BUILD" or "build"
local patience = os.getenv "TEST_TIMEOUT" or "1200"
local only = os.getenv "TEST_ONLY" or ""
local unwanted = os.getenv "TEST_SKIP"
local preload = os.getenv "TEST_PRELOAD" or ""

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
    quote("stdlib/?.lua;stdlib/?/init.lua;tests/?.lua;;"), quote(build .. "/modules/?.so;;"))
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
  services = { find = "find tests/services -name '*_spec.lua' 2>/dev/null | LC_ALL=C sort", command = busted },
}

--- Reads one program's output. A program may print several plans (cmocka: one a group).
local function read_tap(pipe)
  local seen = { pass = 0, fail = 0, skip = 0, ran = 0, planned = nil, output = {} }
  for line in pipe:lines() do
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

--- Seconds since the epoch, to the millisecond.
local function now()
  return tonumber(lines_of("date +%s.%3N")[1])
end

local function run(program, command)
  local began = now()
  local pipe = assert(io.popen(("timeout -k 10 %s %s 2>&1 </dev/null"):format(patience, command)))
  local seen = read_tap(pipe)
  local _, how, code = pipe:close()
  -- The shell that popen starts turns a signal of its child into 128 + n.
  if how == "exit" and code > 128 and code ~= 137 then
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
    (seen.fail > 0 or why) and "FAILED" or "ok", program, now() - began, seen.pass,
    seen.fail > 0 and (", %d failed"):format(seen.fail) or "",
    seen.skip > 0 and (", %d skipped"):format(seen.skip) or "", why and (": " .. why) or ""))
  io.flush()
end

for _, name in ipairs(arg) do
  local suite = SUITES[name]
  if not suite then
    io.stderr:write(("runner: no suite %q; there are c, lua, e2e, rls and services\n"):format(name))
    os.exit(2)
  end
  local programs = lines_of(suite.find)
  local ran = 0
  for _, program in ipairs(programs) do
    if program:find(only) and not (unwanted and program:find(unwanted)) then
      ran = ran + 1
      run(program, suite.command(program))
    end
  end
  if ran == 0 and only == "" then
    failed = failed + 1
    print(("FAILED %s: there is no test program"):format(name))
  end
end

if skipped > 0 then
  print(("%d skipped"):format(skipped))
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0, true)
