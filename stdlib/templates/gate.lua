-- @ID@: says in one line what stands between a tenant and go-live here.
--
-- Usage:
--   gate-engine check ./@ID@.lua                                 what is wrong with it, without running it
--   gate-engine run ./@ID@.lua --tenant acme --at-least 1        run it; --trace shows every query
--   gate-engine recover ./@ID@.lua --tenant acme                 what it proposes where it fails
--
-- Arguments:
--   --at-least N    fewest rows that a tenant must have (default 1)
--
-- Output of a pass, and of a failure:
--   Gate: @NAME@
--     ✅ PASS - Every tenant has its row
--
--   Gate: @NAME@
--     ❌ FAIL - Tenant acme has too few rows
--        - acme: 0 found, 1 expected
--        Fix: Create the tenant, then rerun this gate
--
-- gate-engine doc gate, doc ctx and doc db tell what there is to use.
local gate = require "gate"

return gate.define {
  api     = 1,
  id      = "@ID@",
  name    = "@NAME@",
  purpose = "Say here why a tenant must not go live without it",
  pass    = "Every tenant has its row",
  -- owner = "your team", runbook = "https://…",         printed where it fails

  -- All it may reach; what is not declared here is not reachable.
  needs   = { db = { "admin" } },

  -- Become flags: at_least is --at-least.
  options = { at_least = { type = "integer", default = 1, min = 0, help = "fewest rows that a tenant must have" } },

  -- What it may find. %s stands for the finding's object.
  failures = {
    too_few_rows = { text = "Tenant %s has too few rows", fix = "Create the tenant, then rerun this gate" },
  },

  run = function(ctx)
    -- A check passes when it comes to its end without a finding. What it raises makes it an ERROR, never a pass.
    ctx:check("the tenant has its row", function()
      local found = ctx.db.admin:value("select count(*) from core.tenants where code = $1", ctx.tenant.code)
      ctx:fact("rows", found)
      if found < ctx.options.at_least then
        ctx:fail("too_few_rows", {
          object = ctx.tenant.code,
          detail = ("%d found, %d expected"):format(found, ctx.options.at_least),
        })
      end
    end)
  end,

  -- Called with the findings of a run made just before. It changes something only inside ctx:apply, and only with --apply.
  recover = function(ctx, findings)
    for _, finding in ipairs(findings) do
      ctx:apply(("Look into %s"):format(finding.object), { note = "Say here what an operator does next" })
    end
  end,
}
