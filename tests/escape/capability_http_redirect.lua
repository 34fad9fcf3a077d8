-- What: a redirect to another host, port, scheme
-- Gate: PASS
-- Audit: -
-- Needs: endpoints = { "svc" }
for _, to in ipairs { "http://{other}/", "//{other}/", "file:///etc/passwd", "http://x@{other}/", "gopher://{other}/", "https://{host}/", "ftp://{other}/" } do
  local ok, reply = pcall(ctx.http.request, ctx.http, { endpoint = "svc", path = "/redirect", query = { to = to }, timeout = 2 })
  if ok and (reply.status == 200 or reply.body:find('"server"', 1, true)) then escaped(to) end
end
local ok = pcall(ctx.http.request, ctx.http, { endpoint = "svc", path = "/loop", timeout = 2 })
if ok then escaped("a redirect in a ring") end
