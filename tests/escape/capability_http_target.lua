-- What: requests to another scheme, host, port or user through a declared endpoint
-- Gate: ERROR bad_argument!
-- Audit: -
-- Needs: endpoints = { "svc" }
local function elsewhere(reply) return reply.body and reply.body:find('"server": "other"', 1, true) end
for _, path in ipairs { "http://@TRAP@/", "//@TRAP@/", "/\\@TRAP@/", "file:///etc/passwd", "@@TRAP@/", ":80/", "/x\r\nHost: @TRAP@",
  "/x HTTP/1.1\r\nX-Smuggled: 1", "/\0", "\\\\@TRAP@", "gopher://@TRAP@/", "http:/x", "dict://@TRAP@/", "/%0d%0aX-Smuggled: 1", "/a\nb" } do
  local ok, reply = pcall(ctx.http.request, ctx.http, { endpoint = "svc", path = path, timeout = 1 })
  if ok and (elsewhere(reply) or not reply.body:find('"server": "plain"', 1, true) or reply.body:lower():find('"x%-smuggled":')) then
    escaped(("%q gave %s"):format(path, reply.body))
  end
end
for _, name in ipairs { "other", "svc\0", "SVC", "http://127.0.0.1", "", "__index" } do
  if pcall(ctx.http.request, ctx.http, { endpoint = name, path = "/" }) then escaped(name) end
end
for _, extra in ipairs { { url = "http://@TRAP@" }, { resolve = { "127.0.0.1" } }, { proxy = "http://@TRAP@" }, { ca_file = "/etc/passwd" },
  { endpoints = {} }, { headers = { ["X\r\nY"] = "1" } }, { headers = { X = "1\r\nX-Smuggled: 1" } }, { method = "GET / HTTP/1.1\r\nX: " } } do
  extra.endpoint, extra.path = "svc", "/"
  if pcall(ctx.http.request, ctx.http, extra) then escaped("an option") end
end
local ok, reply = pcall(ctx.http.request, ctx.http, { endpoint = "svc", path = "/", headers = { Host = "@TRAP@" } })
if ok and elsewhere(reply) then escaped("the Host header") end
if ctx.http:request({ endpoint = "svc", path = "/" }).status ~= 200 then escaped("the endpoint itself does not answer: nothing was proven") end
