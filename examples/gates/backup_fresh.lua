-- A tenant goes live only on a database with a recent backup.
--
--   gate-engine run examples/gates/backup_fresh.lua --tenant demo --max-age-hours 12
--
-- Needs a table ops.backups (tenant text, finished_at timestamptz), and in the configuration the command that makes a backup:
--   commands = { ["backup-now"] = { argv = { "/usr/local/bin/backup", "--now" } } }
local gate = require "gate"

return gate.define {
  api     = 1,
  id      = "backup_fresh",
  name    = "Backup freshness",
  purpose = "A tenant goes live only on a database with a recent backup",
  pass    = "Last backup is recent",
  owner   = "platform team",
  runbook = "https://wiki.example/backup",
  needs   = { db = { "admin" }, commands = { "backup-now" } },
  options = { max_age_hours = { type = "integer", default = 24, min = 1, help = "oldest backup accepted" } },

  failures = {
    stale_backup = { text = "Backup of %s is too old", fix = "Run the backup job, then rerun this gate" },
  },

  run = function(ctx)
    ctx:check("last backup is recent", function()
      local hours = ctx.db.admin:value(
        "select extract(epoch from now() - max(finished_at)) / 3600 from ops.backups where tenant = $1", ctx.tenant.code)
      if not hours or hours > ctx.options.max_age_hours then
        ctx:fail("stale_backup", { object = ctx.tenant.code, detail = hours and ("%.1f h"):format(hours) or "none found" })
      end
    end)
  end,

  recover = function(ctx)
    ctx:apply("Start the backup job", { run = "backup-now" })
  end,
}
