--- The corpus as a whole: a server of its own, several workers side by side, and the list of what the gate is known to miss.
local case = require "case"
local json = require "engine.json"
local pg = require "pg"
local verdict = require "verdict"

local corpus = {}

local WORKERS = 3

local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "l"
  pipe:close()
  return line
end

--- The cluster's roles: who owns the schemas, and whom the application logs in as. Cases make what they need besides.
local ROLES = "create role app_owner login; create role app_user login;"

local function start(bin)
  local db = require "engine.db"
  local server = pg.start({ wal_level = "logical", max_connections = "60", autovacuum = "off", full_page_writes = "off",
    max_wal_size = "4GB" }, nil, bin)
  local conn = db.connect(server:options())
  conn:script(ROLES)
  conn:close()
  return server
end

local function begin(server, build, dir, number, paths, options)
  local path = ("%s/task%d.json"):format(dir, number)
  local file = assert(io.open(path, "w"))
  file:write(json.encode { host = server.host, port = server.port, dir = dir, build = build, engine = build .. "/gate-engine",
    gate = options.gate, mutate = options.mutate, paths = paths, name = "w" .. number })
  file:close()
  return assert(io.popen(("lua5.4 tests/rls/worker.lua %s 2>&1"):format(path)))
end

---@class rls.Run
---@field case string
---@field variant string     "", "+fix", or ":1": the first of a real schema's finds
---@field closed boolean     the server closes the leak: what is known of the gate on others does not apply
---@field problems string[]  why the case itself is not proven
---@field left_out string?   why the server cannot have it: nothing was run
---@field outcome string?    of the gate, see verdict
---@field findings table[]
---@field mutation rls.Mutation?

--- Runs the cases whose names hold the pattern.
---@param options {pattern: string?, only: table<string, boolean>?, gate: boolean?, mutate: boolean?, root: string?,
---  bin: string?}  only: names of cases; mutate: only the mutation score of what holds; root: the directory of the cases, tests/rls; bin:
---  the directory of the server's programs
---@return table<string, rls.Run> runs by case .. variant, string[] names in order
function corpus.run(options)
  local build = os.getenv "BUILD" or "build"
  if build:sub(1, 1) ~= "/" then build = first_line "pwd" .. "/" .. build end
  local server, dir = start(options.bin), first_line "mktemp -d /tmp/gate-engine-rls.XXXXXX"
  -- As root the server of a scratch copy runs as the user postgres.
  os.execute("chmod 755 " .. dir)
  local shares, n = {}, 0
  for _, path in ipairs(case.list(options.root or "tests/rls")) do
    local name = path:match "([^/]+/[^/]+)%.sql$"
    if path:find(options.pattern or "") and not (options.only and not options.only[name]) then
      n = n + 1
      local i = n % WORKERS + 1
      shares[i] = shares[i] or {}
      table.insert(shares[i], path)
    end
  end
  local pipes, runs, names, noise = {}, {}, {}, {}
  for i, paths in pairs(shares) do pipes[#pipes + 1] = begin(server, build, dir, i, paths, options) end
  for _, pipe in ipairs(pipes) do
    for line in pipe:lines() do
      local ok, r = pcall(json.decode, line)
      if ok then
        runs[r.case .. r.variant] = r
        names[#names + 1] = r.case .. r.variant
        for i, outcome in ipairs(r.finds or {}) do
          local name = ("%s:%d"):format(r.case, i)
          runs[name] = { case = r.case, variant = ":" .. i, problems = {}, outcome = outcome, findings = r.findings }
          names[#names + 1] = name
        end
      else
        noise[#noise + 1] = line
      end
    end
    pipe:close()
  end
  server:stop()
  if os.getenv "RLS_KEEP" then io.stderr:write(dir, "\n") else os.execute("rm -rf -- " .. dir) end
  if #noise > 0 then error("a worker said: " .. table.concat(noise, "\n"), 0) end
  table.sort(names)
  return runs, names
end

--- Is an outcome one of those listed, "passed|unnamed"? (The gate's canaries are random, and some leaks need luck to be met.)
local function is_listed(outcome, listed)
  for one in (listed or ""):gmatch "%a+" do
    if one == outcome then return true end
  end
  return false
end
corpus.is_listed = is_listed

--- What the gate is known to get wrong: lines "OUTCOME CASE[+fix|:n]  # why".
---@param path string
---@return table<string, string> outcome by name, table<string, string> why by name
function corpus.known(path)
  local out, why = {}, {}
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    local text, reason = line:match "^([^#]*)#?%s*(.-)%s*$"
    local outcome, name = text:match "^%s*([%a|]+)%s+(%S+)%s*$"
    assert(outcome or not text:find "%S", ("%s:%d: expected OUTCOME CASE"):format(path, number))
    if outcome then
      assert(not out[name], ("%s:%d: %s twice"):format(path, number, name))
      for one in outcome:gmatch "%a+" do
        assert(not verdict.is_right(one), ("%s:%d: %s is right, not known to be wrong"):format(path, number, one))
      end
      out[name], why[name] = outcome, reason
    end
  end
  return out, why
end

--- Does a run's outcome contradict what is known? nil where it does not.
---@param name string
---@param outcome string
---@param known table<string, string>
---@return string|nil
function corpus.contradiction(name, outcome, known)
  local listed = known[name]
  if verdict.is_right(outcome) then
    return listed and ("%s is right now: remove its line (%s) from known_misses.txt"):format(name, listed) or nil
  elseif not is_listed(outcome, listed) then
    return ("%s: %s, and known_misses.txt says %s"):format(name, outcome, listed or "nothing of it")
  end
end

return corpus
