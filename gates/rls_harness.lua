-- Gate 1: tenant A cannot see or change tenant B's rows, every tenant-scoped table has row-level security, and every code path
-- sets the tenant.
--
-- usage: gate-engine run gates/rls_harness.lua --tenant acme [--only coverage,isolation] [--verbose]
--        gate-engine run gates/rls_harness.lua --tenant acme --record FILE [--listen HOST:PORT|DIR] [-- TEST-SUITE …]
--        gate-engine run gates/rls_harness.lua --schema dump.sql | --migrations DIR [--against FILE|DIR]
--        gate-engine recover gates/rls_harness.lua --tenant acme [--artifacts DIR] [--apply]
local gate = require "gate"
local classes = require "rls.classes"
local errors = require "errors"

-- The head is read at each start: what only a run needs is loaded by the run that needs it.

local function check_code_paths(ctx, seen)
  local code_paths, code_paths_recorded = require "rls.code_paths", require "rls.code_paths_recorded"
  local harness = require "rls.harness"
  local judged = code_paths_recorded.check(ctx, seen)
  if ctx.platform.kind ~= "embedded" then
    if judged then return end
    errors.raise { code = "code_paths_not_watched", message = "nothing watched which statements the application runs",
      fix = "record its test suite: gate-engine run gates/rls_harness.lua --tenant CODE --record FILE -- COMMAND …; or name a recording, "
        .. "csvlog or jsonlog with --recording FILE or recording in the configuration (--only coverage,isolation leaves this check out "
        .. "and never approves)" }
  end
  local relations = {}
  for _, t in ipairs((harness.of_tenants(seen))) do relations[#relations + 1] = t.oid end
  local conn = ctx.db:open("admin")
  local found, count = code_paths.watch(conn, {
    settings = seen.settings, role = seen.app.role, superuser = seen.admin.super, relations = relations,
  })
  conn:close()
  for _, f in ipairs(found) do
    ctx:fail("set_config_missing", { object = f.path, detail = f.detail, reproduce = "\\sf " .. f.path })
  end
  ctx:fact("code_paths", count)
end

return gate.define {
  api = 1,
  id = "rls_harness",
  name = "RLS Harness",
  number = 1,
  purpose = "Verify tenant isolation: no tenant sees or changes another's rows",
  pass = "No cross-tenant leaks detected",
  needs = { db = { "admin", "app", "operator" } },
  options = {
    recording = { type = "path", access = "read", help = "the application's statements: a recording, csvlog or jsonlog" },
    probe = { type = "enum", choices = { "static", "read", "full" },
      help = "how far to go: the catalogue, also reading as the application, also canaries; default: database.probe.mode, full" },
    mutate = { type = "boolean", default = false,
      help = "break the schema in each way that matters and see whether the gate notices (embedded platform, scratch copies)" },
    artifacts = { type = "path", access = "write", help = "recover: directory that the migration is written to, under the next number" },
  },

  failures = classes.failures(),

  run = function(ctx)
    local look, modes = require "rls.look", require "rls.modes"
    local mutate = ctx.options.mutate and require "rls.mutate"
    local seen
    if mutate then mutate.refuse_live(ctx) end
    local lock = modes.lock(ctx)
    local mode, missing = modes.settle(ctx)
    local function catalogue_once()
      -- What judges the catalogue is loaded while the server reads it.
      seen = seen or look.at(ctx, function() require "rls.harness" end)
      return seen
    end
    ctx:check("coverage", function()
      catalogue_once()
      require("rls.harness").coverage(ctx, seen)
    end, { group = "coverage" })
    local ok, raised = pcall(catalogue_once)
    if ok and ctx:selects("isolation") then
      require("rls.harness").isolation(ctx, seen)
    else -- where it is only left out by --only, it does not run
      ctx:check("isolation", function() require("rls.harness").not_looked(raised) end, { group = "isolation" })
    end
    ctx:fact("probe_mode", mode)
    if missing then ctx:check("isolation: probe", function() errors.raise(missing) end, { group = "isolation" }) end
    if mutate then
      ctx:check("mutation", function() mutate.check(ctx, catalogue_once) end, { group = "mutation" })
    end
    -- No application runs its statements on a scratch copy.
    if ctx.platform.kind ~= "scratch" or ctx.options.recording then
      ctx:check("code_paths", function() check_code_paths(ctx, catalogue_once()) end, { group = "code_paths" })
    end
    if lock then lock:close() end
  end,

  recover = function(ctx, findings) require("rls.recovery").run(ctx, findings) end,
}
