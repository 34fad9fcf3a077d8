--- Who the probe is on its connection: the admin, or the application with a tenant's session.
local axes = require "rls.axes"
local errors = require "errors"
local names = require "rls.names"

local session = {}

local Session = {}
Session.__index = Session

---@param conn table
---@param axis rls.Axis
---@param options {role: string, superuser: boolean}
function session.new(conn, axis, options)
  return setmetatable({ conn = conn, axis = axis, role = options.role, superuser = options.superuser,
    back = options.superuser and "set local session authorization default" or "reset role" }, Session)
end

--- What a session of a tenant has set.
---@param key string
---@return string[][]
function Session:of(key) return axes.session(self.axis, key) end

--- What a session has set whose tenant is no tenant: "" itself, or something else in the place of the key.
---@param value string
---@return string[][]
function Session:malformed(value)
  local out = axes.session(self.axis, value)
  for _, pair in ipairs(out) do
    local template = pair[1] == self.axis.setting and self.axis.value or self.axis.context[pair[1]]
    if value == "" and template:find("{id}", 1, true) then pair[2] = "" end
  end
  return out
end

--- Sets what a session has set, until the transaction ends.
---@param pairs_ string[][]
function Session:set(pairs_)
  for _, p in ipairs(pairs_) do self.conn:value("select set_config($1, $2, true)", p[1], p[2]) end
end

--- The statement by which the admin becomes the application.
---@return string
function Session:become()
  return ("set local %s %s"):format(self.superuser and "session authorization" or "role", names.ident(self.role))
end

function Session:as_application()
  local ok, raised = self.conn:try(self:become())
  if ok then return end
  errors.raise { code = "admin_right_missing", message = "database.admin may not become the application's role " .. self.role,
    detail = raised.message,
    fix = ("GRANT %s TO the role of database.admin, or let it be a superuser"):format(names.ident(self.role)) }
end

function Session:as_admin() self.conn:exec(self.back) end

--- What to paste into psql in order to see it: the canaries, nothing set or the session of a tenant, and the statement.
---@param sql string          where "<tenant A>" stands for its key
---@param pairs_ string[][]?  settings; default: those of tenant A
---@param made string[]       lines that make the canaries (rls.planted)
---@param key string          of tenant A
---@param after string?       what the admin asks afterwards
---@return string
function Session:reproduce(sql, pairs_, made, key, after)
  local lines = { "BEGIN;", table.unpack(made) }
  lines[#lines + 1] = ("SET LOCAL %s %s;"):format(self.superuser and "SESSION AUTHORIZATION" or "ROLE", names.ident(self.role))
  for _, p in ipairs(pairs_ or self:of "<tenant A>") do
    lines[#lines + 1] = ("SELECT set_config(%s, %s, true);"):format(names.literal(p[1]), names.literal(p[2]))
  end
  lines[#lines + 1] = sql .. ";"
  if after then
    lines[#lines + 1] = self.superuser and "RESET SESSION AUTHORIZATION;" or "RESET ROLE;"
    lines[#lines + 1] = after
  end
  lines[#lines + 1] = "ROLLBACK;"
  return (table.concat(lines, "\n"):gsub("<tenant A>", function() return key end))
end

return session
