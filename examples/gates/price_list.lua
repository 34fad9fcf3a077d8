-- A tenant goes live only when the pricing service has a price list for it, and that list lies in the artifact store, unchanged.
--
--   gate-engine run examples/gates/price_list.lua --tenant acme --min-prices 10
--
-- Needs in the configuration the service and a store:
--   endpoints = { pricing = { url = env "PRICING_URL" } },
--   artifacts = { kind = "local", path = "/srv/artifacts" },
local gate = require "gate"
local hash = require "hash"
local json = require "json"

return gate.define {
  api     = 1,
  id      = "price_list",
  name    = "Price list",
  purpose = "A tenant goes live only with a price list that is stored",
  pass    = "The price list is there and stored",
  owner   = "pricing team",
  needs   = { endpoints = { "pricing" }, stores = { "artifacts" } },
  options = { min_prices = { type = "integer", default = 1, min = 1, help = "fewest prices that a list must have" } },

  failures = {
    no_list    = { text = "No price list for %s", fix = "Publish one in the pricing service" },
    short_list = { text = "The price list of %s is too short", fix = "Complete it in the pricing service" },
    not_stored = { text = "The stored price list of %s is not the published one", fix = "Run the gate's recovery: it stores the list" },
  },

  run = function(ctx)
    local code = ctx.tenant.code
    ctx:check("the list is published", function()
      local reply = ctx.http:request { endpoint = "pricing", path = "/lists/" .. code, retries = 2 }
      if reply.status == 404 then return ctx:fail("no_list", { object = code }) end
      if reply.status ~= 200 then error(("the pricing service answered %d"):format(reply.status)) end
      local prices = json.decode(reply.body).prices or {}
      ctx:fact("prices", #prices)
      if #prices < ctx.options.min_prices then
        ctx:fail("short_list", { object = code, detail = ("%d prices, %d expected"):format(#prices, ctx.options.min_prices) })
      end
    end)

    ctx:check("the list is stored", function()
      local published = ctx.http:request { endpoint = "pricing", path = "/lists/" .. code, retries = 2 }
      local stored = ctx.store.artifacts:head("prices/" .. code .. ".json")
      if not stored then return ctx:fail("not_stored", { object = code, detail = "nothing is stored" }) end
      local bytes = ctx.store.artifacts:get("prices/" .. code .. ".json")
      if hash.sha256(bytes) ~= hash.sha256(published.body) then
        ctx:fail("not_stored", { object = code, detail = "it differs from what the service publishes" })
      end
    end)
  end,

  recover = function(ctx, findings)
    for _, finding in ipairs(findings) do
      ctx:apply(("See to the price list of %s"):format(finding.object), { note = finding.fix })
    end
  end,
}
