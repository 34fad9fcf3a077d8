-- What: every method of every object, called with another object, nothing, too much, closed and while it is collected
-- Gate: ERROR bad_argument!
-- Audit: -
-- Needs: db = { "app" }, endpoints = { "svc" }, stores = { "artifacts" }, commands = { "echo" }
local json, hash, task = require "json", require "hash", require "task"
local function fresh() return ctx.db:open("app") end
local conn, store = fresh(), ctx.store.artifacts
local stream = hash.stream and hash.stream() or nil
local METHODS = {
  [conn] = { "query", "row", "value", "exec", "try", "script", "pipeline", "transaction", "copy_out", "copy_in", "notices", "parameter",
    "backend_pid", "is_open" },
  [store] = { "put", "get", "head", "list", "delete" },
}
if stream then METHODS[stream] = { "update", "hex", "digest", "final", "finish" } end
local odd = { conn, store, json.null or false, 0, -1, 1 << 62, 0 / 0, "", "select 1", "\0", ("x"):rep(70000), {}, { {} }, { 1, 2, x = conn }, print,
  coroutine.create(print), setmetatable({}, { __index = function(t) return t end, __len = function() return 1 << 40 end }), true }
local function call(f, ...) return pcall(f, ...) end
for object, names in pairs(METHODS) do
  for _, name in ipairs(names) do
    local f = object[name]
    if f then
      call(f)
      for _, self in ipairs(odd) do
        if self ~= object and call(f, self, "select 1") and type(self) ~= "userdata" then escaped(name .. " of a " .. type(self)) end
        call(f, object, self)
        call(f, object, "select $1::text", self)
        call(f, object, "key", self, self)
      end
    end
  end
end
for _, value in ipairs(odd) do
  call(ctx.http.request, ctx.http, value)
  call(ctx.http.request, ctx.http, { endpoint = value })
  call(ctx.http.request, ctx.http, { endpoint = "svc", path = value, timeout = 1 })
  for _, key in ipairs { "method", "query", "headers", "json", "body", "retries", "redirects", "max_body", "auth" } do
    call(ctx.http.request, ctx.http, { endpoint = "svc", path = "/", timeout = 1, [key] = value })
  end
  call(ctx.exec.run, ctx.exec, value, value)
  for _, key in ipairs { "args", "stdin", "perturb", "timeout" } do call(ctx.exec.run, ctx.exec, "echo", { [key] = value }) end
  call(task.map, value, 1, print)
  call(task.map, { 1 }, value, print)
  call(task.map, { 1 }, 1, value)
  call(task.sleep, type(value) == "number" and value > 1 and "x" or value)
  for _, f in pairs(hash) do if type(f) == "function" then call(f, value) call(f, value, value) call(f, "x", value, value) end end
  for _, f in pairs(json) do if type(f) == "function" then call(f, value) call(f, value, value) end end
end
-- Closed twice, used when closed, closed inside of what it runs, collected in any order.
conn:close()
conn:close()
for _, name in ipairs(METHODS[conn]) do
  local ok, got = call(conn[name], conn, "select 1")
  if ok and name ~= "is_open" then escaped(name .. " of a closed connection gave " .. tostring(got)) end
end
for _ = 1, 10 do
  local c = fresh()
  call(c.transaction, c, function(tx) tx:close() tx:query("select 1") end)
  local d = fresh()
  call(d.transaction, d, function(tx) local _ <close> = tx error("x") end)
  local e = fresh()
  call(task.map, { 1, 2, 3 }, 3, function(i) if i == 2 then e:close() end return e:value("select pg_sleep(0.01)") end)
  call(task.map, { 1, 2 }, 2, function(i) if i == 1 then error("first") end return fresh():value("select pg_sleep(1)") end)
  for i = 1, 2000 do local _ = { i } end
end
if fresh():value("select 1") ~= 1 then escaped("the database is out of reach") end
