-- A tenant goes live only when somebody can be reached for it. The recovery writes the contact that the operator names.
--
--   gate-engine run examples/gates/tenant_contact.lua --tenant acme
--   gate-engine recover examples/gates/tenant_contact.lua --tenant acme --contact ops@acme.example            what it would do
--   gate-engine recover examples/gates/tenant_contact.lua --tenant acme --contact ops@acme.example --apply    does it, and runs again
local gate = require "gate"

return gate.define {
  api     = 1,
  id      = "tenant_contact",
  name    = "Tenant contact",
  purpose = "A tenant goes live only when somebody can be reached for it",
  pass    = "There is a contact",
  needs   = { db = { "admin", "operator" } },
  options = { contact = { type = "string", default = "", help = "recover: the mail address to write down" } },

  failures = {
    no_contact = { text = "Tenant %s has no contact", fix = "Run its recovery with --contact ADDRESS" },
  },

  run = function(ctx)
    ctx:check("somebody can be reached", function()
      local contact = ctx.db.admin:value("select settings ->> 'contact' from core.tenants where code = $1", ctx.tenant.code)
      if not contact or not contact:find "^[^@%s]+@[^@%s]+$" then
        ctx:fail("no_contact", { object = ctx.tenant.code, detail = contact and ("found %q"):format(contact) or "none is set" })
      end
    end)
  end,

  recover = function(ctx, findings)
    local address = ctx.options.contact
    for _, finding in ipairs(findings) do
      if address:find "^[^@%s]+@[^@%s]+$" then
        ctx:apply("Write the contact of " .. finding.object, {
          sql = "update core.tenants set settings = settings || jsonb_build_object('contact', $1::text)\n where code = $2",
          params = { address, finding.object } })
      else
        ctx:apply("Name a contact of " .. finding.object, { note = "Give it with --contact ADDRESS, a mail address." })
      end
    end
  end,
}
