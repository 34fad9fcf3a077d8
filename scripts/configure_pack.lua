-- Says which configuration of a pack a tenant uses: the pack's defaults, or a policy profile that is active.
--
--   gate-engine run configure_pack --tenant acme --pack roster --dry-run
--   gate-engine run configure_pack --tenant acme --pack roster                   # the pack's defaults
--   gate-engine run configure_pack --tenant acme --pack roster --profile ID
local operation = require "operation"
local lifecycle = require "lifecycle"
local hash = require "hash"
local json = require "json"

--- The profile, after what would make it the wrong one.
local function profile_of(ctx, tx, row)
  local id = ctx.options.profile
  local profile = tx:row([[select id::text as id, pack_id, name, version, status, config_hash, config_json::text as config
    from core.policy_profiles where tenant_id::text = $1 and id::text = $2]], row.id, id)
  if not profile then ctx:refuse("profile_unknown", { object = id }) end
  if profile.pack_id ~= ctx.options.pack then ctx:refuse("profile_pack", { object = id, detail = "it is of pack " .. profile.pack_id }) end
  if profile.status ~= "active" then ctx:refuse("profile_status", { object = id, detail = "it is " .. profile.status }) end
  local own = hash.sha256(hash.canonical(json.decode(profile.config)))
  if own ~= profile.config_hash then
    ctx:refuse("profile_hash", { object = id, detail = ("it has %s, and config_hash says %s"):format(own, profile.config_hash) })
  end
  return profile
end

return operation.define {
  api     = 1,
  id      = "configure_pack",
  name    = "Configure a pack",
  purpose = "Says which configuration of a pack a tenant uses",
  pass    = "The pack is configured",
  needs   = { db = { "operator" } },
  options = {
    pack    = { type = "enum", choices = { "roster", "routing" }, required = true, help = "the pack" },
    profile = { type = "string", default = "", help = "id of a policy profile; without it the pack's defaults" },
  },

  failures = lifecycle.failures {
    profile_unknown = { text = "The tenant has no policy profile %s", fix = "select id, name, version from core.policy_profiles" },
    profile_pack    = { text = "Policy profile %s is of another pack", fix = "Choose a profile of the pack" },
    profile_status  = { text = "Policy profile %s is not active", fix = "Activate it, or choose another version" },
    profile_hash    = { text = "Policy profile %s was changed without its hash", fix = "Write a new version of the profile" },
  },

  run = function(ctx)
    local db, code, pack = ctx.db.operator, ctx.tenant.code, ctx.options.pack
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end
    local profile, now = lifecycle.as_tenant(db, row.id, function(tx)
      local chosen = ctx.options.profile ~= "" and profile_of(ctx, tx, row) or nil
      return chosen, tx:row([[select coalesce(active_profile_id::text, '') as profile from core.tenant_pack_settings
        where tenant_id::text = $1 and pack_id = $2]], row.id, pack)
    end)
    local has_pack = false
    for _, name in ipairs(row.settings.packs or {}) do has_pack = has_pack or name == pack end
    if now and now.profile == ctx.options.profile and has_pack then
      lifecycle.tell(ctx)
      return ctx:unchanged(("%s uses %s for %s"):format(code, profile and "that profile" or "the pack's defaults", pack))
    end

    ctx:step(("Let %s use %s for %s"):format(code, profile and ("profile %s, version %d"):format(profile.name, profile.version)
      or "the pack's defaults", pack), function()
      lifecycle.as_tenant(db, row.id, function(tx)
        lifecycle.lock(ctx, tx, row)
        tx:exec([[insert into core.tenant_pack_settings (tenant_id, pack_id, active_profile_id, use_pack_defaults)
          values ($1::uuid, $2, nullif($3, '')::uuid, $3 = '')
          on conflict (tenant_id, pack_id) do update set active_profile_id = excluded.active_profile_id,
            use_pack_defaults = excluded.use_pack_defaults, updated_by = current_user, updated_at = now()]],
          row.id, pack, ctx.options.profile)
        tx:exec([[update core.tenants set settings = settings || jsonb_build_object('packs',
          (select jsonb_agg(distinct p order by p) from jsonb_array_elements_text(coalesce(settings -> 'packs', '[]')
            || to_jsonb($2::text)) p)), updated_at = now() where id::text = $1]], row.id, pack)
        lifecycle.note(tx, row.id, "pack_configured", { detail = { pack = pack, profile = profile and profile.id or "defaults",
          version = profile and profile.version or 0, config_hash = profile and profile.config_hash or "" } })
      end)
    end)
    lifecycle.tell(ctx)
  end,
}
