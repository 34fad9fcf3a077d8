--- What the releases of PostgreSQL call the same thing: queries of the catalogue are written with words in braces that stand for it.
--
--   {become}       what pg_has_role is asked for whoever acts as a role or may come to do so: by inheritance, by SET ROLE, or by granting
--                  itself the one or the other. PostgreSQL 16 made these options of a membership (GRANT, "GRANT on Roles"); before it
--                  every member has the first two or the second alone.
--   {act}          the same without inheritance, which gives a role's rights and not its attributes
--   {set}          what pg_has_role is asked for whoever may SET ROLE to it at once
--   {body f}       the text of pg_proc f's body. PostgreSQL 14: one in standard SQL is kept parsed and not as text.
--   {parsed f}     is it kept parsed?
local dialect = {}

local versions = setmetatable({}, { __mode = "k" })

--- The server's release.
---@param conn table
---@return integer  server_version_num
function dialect.version(conn)
  versions[conn] = versions[conn] or conn:value "select current_setting('server_version_num')::integer"
  return versions[conn]
end

--- A query in the words of a release.
---@param version integer  server_version_num
---@param sql string
---@return string
function dialect.translate(version, sql)
  local options, bodies = version >= 160000, version >= 140000
  return (sql:gsub("{(%l+) ?(%l*)}", function(word, alias)
    if word == "become" then return options and "'USAGE, SET, MEMBER WITH ADMIN OPTION'" or "'MEMBER'" end
    if word == "act" then return options and "'SET, MEMBER WITH ADMIN OPTION'" or "'MEMBER'" end
    if word == "set" then return options and "'SET'" or "'MEMBER'" end
    if word == "body" then
      return (bodies and "coalesce(pg_get_function_sqlbody(%s.oid), %s.prosrc)" or "%s.prosrc"):gsub("%%s", alias)
    end
    if word == "parsed" then return bodies and alias .. ".prosqlbody is not null" or "false" end
    return nil
  end))
end

--- A query in the words of the connection's server.
---@param conn table
---@param sql string
---@return string
function dialect.of(conn, sql) return dialect.translate(dialect.version(conn), sql) end

return dialect
