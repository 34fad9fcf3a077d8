--- `--trace`: what a script did, one line an action: what it asked for, what came back, how long it took.
---
--- Nothing is wrapped unless a trace was asked for. A wrapped object behaves as the one it stands for: the same methods, results and
--- errors (the very value that was raised is raised again). Values of parameters, literals of statements and bodies are never shown,
--- since they are data of tenants; the supervisor masks secrets in what remains.
local task = require "engine.task"

local trace = {}
trace.__index = trace

local SHOWN = 160

--- Where the literal that opens at `at` ends, or nil: one with backslashes (E'…'), a plain one, one in dollars.
local function literal_end(sql, at, kind)
  if kind == "$" then
    local tag = sql:match("^%$[%a_]?[%w_]*%$", at)
    local _, last = sql:find(tag, at + #tag, true)
    return last
  end
  if sql:sub(at - 1, at - 1):find "[eE]" then
    while true do
      at = sql:find("[\\']", at + 1)
      if not at or sql:sub(at, at) == "'" then return at end
      at = at + 1
    end
  end
  return (sql:find("'", at + 1, true))
end

--- The statement without what stands in its literals: what a script writes there may be a tenant's, or a password.
local function without_literals(sql)
  local out, from = {}, 1
  while true do
    local quote = sql:find("'", from, true)
    local dollar = sql:find("%$[%a_]?[%w_]*%$", from)
    if dollar and sql:find("^%$%d", dollar) then dollar = nil end -- $1$ is a parameter
    local at = math.min(quote or math.huge, dollar or math.huge)
    if at == math.huge then break end
    local last = literal_end(sql, at, sql:sub(at, at))
    out[#out + 1] = sql:sub(from, at - 1) .. "'***'"
    if not last then return table.concat(out) end
    from = last + 1
  end
  out[#out + 1] = sql:sub(from)
  return table.concat(out)
end

--- A statement on one line, cut.
local function brief(sql)
  if type(sql) ~= "string" then return "(" .. type(sql) .. ")" end
  local line = without_literals(sql:sub(1, 16 * SHOWN)):gsub("%s+", " "):gsub("^ ", "")
  return #line <= SHOWN and line or line:sub(1, SHOWN):gsub("[\x80-\xBF]*[\xC0-\xFF]?$", "") .. " …"
end

local function rows(n) return n == 1 and "1 row" or ("%d rows"):format(n) end

local function code_of(raised)
  if type(raised) ~= "table" then return "error" end
  local state = rawget(raised, "sqlstate")
  return tostring(rawget(raised, "code")) .. (type(state) == "string" and (" (SQLSTATE %s)"):format(state) or "")
end

---@param send fun(event: table)
---@param check fun(): string?  the name of the check that is running
function trace.new(send, check)
  return setmetatable({ send = send, check = check }, trace)
end

--- One line.
function trace:line(what, outcome, ms, text)
  local check = self.check()
  local line = ("%s%s: %s, %.2f ms%s"):format(check and "[" .. check .. "] " or "", what, outcome, ms, text and ": " .. text or "")
  -- Events are UTF-8; what a script may have put into a key or a statement need not be.
  self.send { t = "trace", text = utf8.len(line) and line or (line:gsub("[\x80-\xFF]", "?")) }
end

local function finish(self, started, what, outcome, text, ok, ...)
  local ms = task.now() - started
  if not ok then
    self:line(what, "raised " .. code_of((...)), ms, text)
    error((...), 0)
  end
  self:line(what, outcome(...), ms, text)
  return ...
end

--- Calls fn and says how it went. `outcome` makes a few words of what it returns.
function trace:call(what, outcome, text, fn, ...)
  return finish(self, task.now(), what, outcome, text, pcall(fn, ...))
end

--- An object that passes everything on; `methods` says of some how they are traced: name → function(tracer, method, object, …).
local function proxy(self, object, methods)
  local stand_in = {}
  return setmetatable(stand_in, {
    __metatable = false,
    __name = "traced object",
    __index = function(t, name)
      local method = object[name]
      if type(method) ~= "function" then return method end
      local traced = methods[name]
      local function call(this, ...)
        if this ~= stand_in then return method(this, ...) end
        if not traced then return method(object, ...) end
        return traced(self, method, object, ...)
      end
      rawset(t, name, call)
      return call
    end,
    __close = function() object:close() end,
    __tostring = function() return tostring(object) end,
  })
end

local function plain(self, role, name, outcome)
  return function(_, method, object, sql, ...)
    return self:call(("db.%s:%s"):format(role, name), outcome, brief(sql), method, object, sql, ...)
  end
end

local function pipeline(self, role)
  return function(_, method, object, list, ...)
    local what = "db." .. role .. ":pipeline"
    local outcomes = self:call(what, function(out) return ("%d statements"):format(#out) end, nil, method, object, list, ...)
    for i, one in ipairs(outcomes) do
      local how = one.ok and rows(one.affected or 0) or "refused with " .. code_of(one.error)
      self:line(("%s %d"):format(what, i), how, 0, brief(list[i][1]))
    end
    return outcomes
  end
end

--- A database connection.
function trace:connection(role, object)
  local methods = {}
  local outcomes = {
    query = function(result) return rows(result.n) end,
    row = function(row) return rows(row and 1 or 0) end,
    value = function(value) return value == nil and "nil" or type(value) end,
    exec = function(n) return rows(n) end,
    script = function(n) return ("%s statements"):format(tostring(n)) end,
    try = function(ok, what) return ok and rows(what) or "refused with " .. code_of(what) end,
    copy_out = function(data) return ("%d bytes"):format(#data) end,
    copy_in = function(n) return rows(n) end,
  }
  for name, outcome in pairs(outcomes) do methods[name] = plain(self, role, name, outcome) end
  methods.pipeline = pipeline(self, role)
  methods.reset_session = function(_, method)
    self:call("db." .. role .. ":reset_session", function() return "done" end, nil, method, object)
    return methods.stand_in
  end
  methods.transaction = function(_, method, _, fn, ...)
    local body = type(fn) == "function" and function() return fn(methods.stand_in) end or fn
    return self:call("db." .. role .. ":transaction", function() return "ended" end, nil, method, object, body, ...)
  end
  methods.stand_in = proxy(self, object, methods)
  return methods.stand_in
end

--- A store, as ctx.store and ctx.files hand them out.
function trace:store(name, object)
  local methods = {}
  local outcomes = {
    put = function(info) return ("%d bytes"):format(info.size) end,
    get = function(bytes) return ("%d bytes"):format(#bytes) end,
    head = function(info) return info and ("%d bytes"):format(info.size) or "none" end,
    list = function(list) return ("%d keys"):format(#list) end,
    delete = function(removed) return removed and "removed" or "none" end,
    writer = function() return "opened" end,
    reader = function() return "opened" end,
  }
  for method_name, outcome in pairs(outcomes) do
    methods[method_name] = function(_, method, _, key, ...)
      return self:call(("store.%s:%s"):format(name, method_name), outcome, key and tostring(key), method, object, key, ...)
    end
  end
  return proxy(self, object, methods)
end

--- A request through a client: the path without its query, which may hold a credential.
function trace:request(client, options)
  local path = type(options.path) == "string" and options.path:match("^[^?]*") or "/"
  return self:call(("http %s %s %s"):format(tostring(options.endpoint), tostring(options.method or "GET"), path),
    function(r) return ("%d, %d bytes"):format(r.status, #r.body) end, nil, client.request, client, options)
end

--- The channel to the broker: commands, the solver and audits.
function trace:channel(object)
  return proxy(self, object, {
    run = function(_, method, _, name, ...)
      return self:call("command " .. tostring(name), function(r)
        return r.exit and ("exit %s"):format(tostring(r.exit)) or ("signal %s"):format(tostring(r.signal))
      end, nil, method, object, name, ...)
    end,
    request = function(_, method, _, message, ...)
      if message.op ~= "audit" then return method(object, message, ...) end
      return self:call("audit " .. tostring(message.audit), function(r) return tostring(r.status) end, nil, method, object, message, ...)
    end,
  })
end

return trace
