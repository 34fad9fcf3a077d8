-- Gives a tenant a new API key, shown once; the one before stops working at that moment.
--
--   gate-engine run rotate_key --tenant acme --request INC-4711 --dry-run
--   gate-engine run rotate_key --tenant acme --request INC-4711
--
-- --request names why: the same request again has nothing to do, so that a call which is repeated takes away no key that is in use.
local operation = require "operation"
local lifecycle = require "lifecycle"

return operation.define {
  api     = 1,
  id      = "rotate_key",
  name    = "Rotate an API key",
  purpose = "Replaces a tenant's API key",
  pass    = "The tenant has a new key",
  needs   = { db = { "operator" } },
  options = { request = { type = "string", required = true, help = "a name of this request, such as a ticket's" } },

  failures = lifecycle.failures {
    request_blank = { text = "The request about tenant %s must have a name", fix = "Give it with --request" },
    keys_missing  = { text = "The platform cannot issue an API key: %s is not there",
      fix = "Create it as stdlib/platform/migrations/003_api_keys.sql does" },
  },

  run = function(ctx)
    local db, code, request = ctx.db.operator, ctx.tenant.code, ctx.options.request
    if request:find "^%s*$" then ctx:refuse("request_blank", { object = code }) end
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end
    local done = lifecycle.last(db, row.id, "key_rotated", request)
    if done then return ctx:unchanged(("request %s was carried out at %s; its key was shown then"):format(request, done.at)) end
    if not db:value "select to_regprocedure('platform.issue_api_key(text)')::text" then
      ctx:refuse("keys_missing", { object = "platform.issue_api_key(text)" })
    end

    ctx:step("Replace the API key of " .. code, function()
      local key = lifecycle.as_tenant(db, row.id, function(tx)
        lifecycle.lock(ctx, tx, row)
        lifecycle.note(tx, row.id, "key_rotated", { request = request })
        return tx:value("select platform.issue_api_key($1)", code)
      end)
      ctx:say(("API key of %s, shown this once: %s"):format(code, key))
    end)
    lifecycle.tell(ctx)
  end,
}
