-- Gate 4: what the platform depends on works, looked at from the outside: authentication, artifact store, OSRM, database pool, and the
-- mail server where there is one.
--
-- usage: gate-engine run gates/integrations_contract.lua --tenant acme [--clients 8] [--verbose]
local gate = require "gate"
local artifacts = require "integrations.artifacts"
local auth = require "integrations.auth"
local database = require "integrations.database"
local mail = require "integrations.mail"
local osrm = require "integrations.osrm"
local probe = require "integrations.probe"
local recovery = require "integrations.recovery"

return gate.define {
  api = 1,
  id = "integrations_contract",
  name = "Integrations Contract",
  number = 4,
  purpose = "Verify external services: auth, artifact store, OSRM, database pool",
  pass = "All integrations verified",
  needs = { db = { "admin", "app", "operator" }, stores = { "artifacts", "matrix" }, endpoints = true, auth = { "api_key", "entra" },
    mail = true },
  options = {
    clients = { type = "integer", default = 8, min = 2, max = 64, help = "parallel clients of the pool check" },
    large_mb = { type = "integer", default = 64, min = 9, max = 4096, help = "megabytes that go through the artifact store in parts" },
  },

  failures = {
    auth_failed = { text = "Auth flow failed: token invalid", fix = "Check Entra config or API key" },
    auth_unreachable = { text = "Auth flow failed: %s", fix = "Check endpoints.platform and the network" },
    auth_accepts_wrong = { text = "Auth flow failed: a wrong credential is accepted",
      fix = "Check what the platform compares a credential with" },
    store_failed = { text = "Artifact store: %s", fix = "Check S3/Azure credentials" },
    store_accepts_wrong = { text = "Artifact store: wrong credentials are accepted",
      fix = "Let the store verify who asks: signatures, and no anonymous access" },
    store_tenant_open = { text = "Artifact store: another tenant's place is open",
      fix = "Give each tenant credentials for its own place alone" },
    osrm_failed = { text = "OSRM: %s", fix = "Check network, OSRM service" },
    database_failed = { text = "Database pool: %s", fix = "Check server, pooler and credentials" },
    mail_failed = { text = "Mail server: %s", fix = "Check mail in the configuration, and the server" },
    certificate_ends = { text = "The certificate of %s ends in %s days", fix = "Renew it, and look at what should have" },
    context_leaks = { text = "Database pool: tenant context leaks",
      fix = "Set the tenant with set_config(…, true) inside each transaction" },
  },

  run = function(ctx)
    ctx:check("auth", function()
      local ok, raised = pcall(auth.check, ctx)
      probe.tell(ctx, { "platform", "auth.entra" })
      if not ok then error(raised, 0) end
    end)
    ctx:check("artifact_store", function() artifacts.check(ctx) end)
    ctx:check("osrm", function() osrm.check(ctx) end)
    ctx:check("database", function() database.check(ctx) end)
    if ctx.mail then ctx:check("mail", function() mail.check(ctx) end) end
  end,

  recover = recovery.propose,
}
