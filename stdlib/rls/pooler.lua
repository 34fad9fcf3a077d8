--- Is a pooler between a connection and its server, and what does it lend?
local pooler = {}

--- A pooler answers with a key of its own in place of the server's process id. Where another client gets the same server process while
--- this one's session goes on, it pools transactions.
---@param conn table  outside of a transaction
---@param open fun(): table  another connection of the same role
---@return "session"|"transaction"|"statement"|"an unknown"|nil mode  nil: there is none
function pooler.mode(conn, open)
  local own = conn:value "select pg_backend_pid()"
  if conn:backend_pid() == own then return nil end
  local second = open()
  local mode = "session"
  local ok, raised = pcall(function()
    second:transaction(function()
      if second:value "select pg_backend_pid()" == own then mode = "transaction" end
    end, { rollback = true })
  end)
  if not ok then
    local message = type(raised) == "table" and raised.message or tostring(raised)
    mode = message:find("statement pooling", 1, true) and "statement" or "an unknown"
  end
  second:close()
  return mode
end

--- What keeps the admin from working through it: text, fix.
---@param name string  which of database.…
---@param mode string
---@return string text, string fix
function pooler.refusal(name, mode)
  return ("%s goes through a pooler in %s mode: the session's role, settings and locks are another client's next"):format(name, mode),
    "give database." .. name .. " the server's own address, or a pool in session mode"
end

return pooler
