-- Creates a tenant (onboarding) and its API key, which is shown once and stored as a hash.
--
--   gate-engine run create_tenant --tenant acme --name "Acme Ltd" --pack roster --dry-run
--   gate-engine run create_tenant --tenant acme --name "Acme Ltd" --pack roster --contact ops@acme.example
--
-- The same call again has nothing to do; one with another name, other packs or features is refused. A key that was lost between its
-- making and its showing is replaced by rotate_key.
local operation = require "operation"
local lifecycle = require "lifecycle"
local hash = require "hash"
local mime = require "mime"

--- The options as a list that means the same in whatever order they were given.
local function sorted(list)
  local out, seen = {}, {}
  for _, item in ipairs(list) do
    if not seen[item] then out[#out + 1], seen[item] = item, true end
  end
  table.sort(out)
  return out
end

return operation.define {
  api     = 1,
  id      = "create_tenant",
  name    = "Create a tenant",
  purpose = "Creates a tenant's record and API key",
  pass    = "The tenant is there",
  tenant  = "any",
  needs   = { db = { "operator" } },
  options = {
    name    = { type = "string", required = true, help = "its name for people" },
    pack    = { type = "enum", choices = { "roster", "routing" }, multiple = true, default = { "roster" }, help = "a pack it may use" },
    contact = { type = "string", help = "the address that its welcome mail goes to" },
    feature = { type = "string", multiple = true, default = { "basic" }, help = "a feature it has" },
  },

  failures = lifecycle.failures {
    name_blank      = { text = "The name of tenant %s must not be blank", fix = "Give it with --name" },
    contact_wrong   = { text = "%s is no address that mail can be sent to", fix = "Give it as someone@example.org" },
    payload_differs = { text = "Tenant %s is there already, with other data",
      fix = "Leave it as it is, or choose another code: create_tenant changes no tenant" },
    keys_missing    = { text = "The platform cannot issue an API key: %s is not there",
      fix = "Create it as stdlib/platform/migrations/003_api_keys.sql does" },
  },

  run = function(ctx)
    local db, code, options = ctx.db.operator, ctx.tenant.code, ctx.options
    if options.name:find "^%s*$" then ctx:refuse("name_blank", { object = code }) end
    if options.contact and not mime.is_address(options.contact) then ctx:refuse("contact_wrong", { object = options.contact }) end
    local payload = { name = options.name, packs = sorted(options.pack), features = sorted(options.feature), contact = options.contact }
    local row = lifecycle.tenant(ctx)
    if row then
      local made = lifecycle.last(db, row.id, "created")
      local same = made and made.payload_hash == lifecycle.payload_hash(payload)
      if not same then
        ctx:refuse("payload_differs", { object = code, detail = made and "it was created with another name, other packs or features"
          or "it was not created by this operation" })
      end
      if row.status == "archived" then
        ctx:refuse("tenant_archived", { object = code, detail = "its code is not given a second time",
          fix = "Create the new one with another code" })
      end
      lifecycle.tell(ctx)
      return ctx:unchanged(("the tenant was created at %s; its key was shown then"):format(made.at))
    end
    if not db:value "select to_regprocedure('platform.issue_api_key(text)')::text" then
      ctx:refuse("keys_missing", { object = "platform.issue_api_key(text)" })
    end

    ctx:step(("Create tenant %s and its API key"):format(code), function()
      local key = db:transaction(function(tx)
        local id = tx:value([[insert into core.tenants (code, name, status, settings) values ($1, $2, 'onboarding', $3::jsonb)
          on conflict (code) do nothing returning id::text]], code, payload.name,
          hash.canonical { packs = payload.packs, features = payload.features, contact = payload.contact })
        if not id then ctx:refuse("tenant_raced", { object = code }) end
        tx:exec("select set_config('app.current_tenant_id', $1, true)", id)
        lifecycle.note(tx, id, "created", { payload_hash = lifecycle.payload_hash(payload), detail = payload })
        return tx:value("select platform.issue_api_key($1)", code)
      end)
      ctx:say(("API key of %s, shown this once: %s"):format(code, key))
    end)
    lifecycle.tell(ctx)
  end,
}
