-- @ID@: says in one line what it changes, and when somebody wants that.
--
-- Usage:
--   gate-engine check ./@ID@.lua                                        what is wrong with it, without running it
--   gate-engine run ./@ID@.lua --tenant acme --name "Acme" --dry-run    what it would do
--   gate-engine run ./@ID@.lua --tenant acme --name "Acme"              does it
--
-- Arguments:
--   --name TEXT    the tenant's new display name
--
-- Output when it is done, and of a refusal:
--   === @NAME@ ===
--   Tenant: acme
--
--     ✅ DONE - Rename acme
--
--   === OK: The tenant has its new name ===
--
--     ❌ REFUSED - A display name must not be blank
--        - acme
--        Fix: Give it with --name
--
-- gate-engine doc operation, doc ctx and doc db tell what there is to use.
local operation = require "operation"

return operation.define {
  api     = 1,
  id      = "@ID@",
  name    = "@NAME@",
  purpose = "Say here what it changes",
  pass    = "The tenant has its new name",

  -- All it may reach. Of the database roles only the operator's changes stay.
  needs   = { db = { "operator" } },

  options = { name = { type = "string", required = true, help = "the tenant's new display name" } },

  -- The rules by which it refuses: exit 1.
  failures = {
    name_blank = { text = "A display name must not be blank", fix = "Give it with --name" },
  },

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    if ctx.options.name:find "^%s*$" then ctx:refuse("name_blank", { object = code }) end

    -- Done twice it must do no harm. An operation that takes no step has to say why.
    if db:value("select name from core.tenants where code = $1", code) == ctx.options.name then
      ctx:unchanged("the tenant has that name already")
      return
    end

    -- Everything that changes something stands in a step: --dry-run names it and does not take it.
    ctx:step("Rename " .. code, function()
      db:exec("update core.tenants set name = $2 where code = $1", code, ctx.options.name)
    end)
  end,
}
