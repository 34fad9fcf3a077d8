--- Releases of PostgreSQL that close holes in row-level security itself. From the advisories at postgresql.org/support/security.
local releases = {}

---@class rls.Hole
---@field cve string?
---@field what string
---@field fixed table<integer, integer>  by major version, the minor one

--- Holes of the server's own, the newest first: a schema can do nothing about them.
---@type rls.Hole[]
releases.HOLES = {
  { cve = "CVE-2026-120154", what = "INSERT … ON CONFLICT DO UPDATE reads every row despite row security policies",
    fixed = { [14] = 25, [15] = 20, [16] = 16, [17] = 12, [18] = 7 } },
  { cve = "CVE-2025-8713", what = "planner statistics show sampled values of rows that a policy hides",
    fixed = { [13] = 22, [14] = 19, [15] = 14, [16] = 10, [17] = 6 } },
  { cve = "CVE-2024-10976", what = "a cached plan may apply another role's policies",
    fixed = { [13] = 17, [14] = 14, [15] = 9, [16] = 5, [17] = 1 } },
  { cve = "CVE-2023-39418", what = "MERGE does not apply the policies of UPDATE and SELECT", fixed = { [13] = 0, [14] = 0, [15] = 4 } },
  { cve = "CVE-2023-2455", what = "policies disregard a change of role after inlining", fixed = { [13] = 11, [14] = 8, [15] = 3 } },
}

--- A view's condition is asked of the row that is in the way of an INSERT … ON CONFLICT through it (CREATE VIEW, "Updatable Views").
---@type rls.Hole
releases.VIEW_CONFLICT = { what = "INSERT … ON CONFLICT DO UPDATE through a view changes rows that the view hides",
  fixed = { [14] = 25, [15] = 20, [16] = 16, [17] = 12, [18] = 7 } }

--- Is a hole closed in this release? A major version behind all that are named is taken to have it closed, one before them not.
---@param hole rls.Hole
---@param number integer  server_version_num
---@return boolean
function releases.is_closed(hole, number)
  local major, newest = number // 10000, 0
  for known in pairs(hole.fixed) do newest = math.max(newest, known) end
  if hole.fixed[major] then return number % 10000 >= hole.fixed[major] end
  return major > newest
end

--- Major versions from which on views take an option (CREATE VIEW).
local OPTIONS = { security_invoker = 15, security_barrier = 9 }

--- May a view of this release have the option?
---@param option string
---@param number integer  server_version_num
---@return boolean
function releases.has_option(option, number) return number // 10000 >= OPTIONS[option] end

--- The advisory about a server whose release has known holes; nil where it has none.
---@param number integer  server_version_num
---@return {class: string, object: string, detail: string, fix: string, reproduce: string, advisory: boolean}?
function releases.finding(number)
  local major, minor = number // 10000, number % 10000
  local open, wanted = {}, 0
  for _, hole in ipairs(releases.HOLES) do
    if not releases.is_closed(hole, number) then
      local fixed = hole.fixed[major]
      wanted = fixed and math.max(wanted, fixed) or math.huge
      open[#open + 1] = ("%s (%s)%s"):format(hole.what, hole.cve, fixed and (", closed in %d.%d"):format(major, fixed) or "")
    end
  end
  if #open == 0 then return nil end
  return { class = "server_release", object = ("PostgreSQL %d"):format(major), advisory = true,
    detail = ("%d.%d: %s"):format(major, minor, table.concat(open, "; ")), reproduce = "select version();",
    fix = wanted < math.huge and ("Upgrade the server to %d.%d or later"):format(major, wanted)
      or ("Upgrade the server to a newer major version: PostgreSQL %d gets no fix of these"):format(major) }
end

return releases
