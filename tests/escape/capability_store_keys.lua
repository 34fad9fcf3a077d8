-- What: keys that lead out of the store
-- Gate: PASS
-- Audit: -
-- Needs: stores = { "artifacts" }
local store = ctx.store.artifacts
for _, key in ipairs { "../x", "..", ".", "", "/etc/passwd", "a/../../x", "a//b", "a/", "/", "a\0b", "a/./b", "\xff", ("k"):rep(2000), "a/..", "..\0" } do
  if pcall(store.put, store, key, "x") then escaped("put " .. key:sub(1, 20)) end
  if pcall(store.get, store, key) then escaped("get " .. key:sub(1, 20)) end
end
for _, key in ipairs { 1, true, {} } do
  if pcall(store.put, store, key, "x") and type(key) ~= "number" then escaped("a key that is a " .. type(key)) end
end
if pcall(store.list, store, "../") and #store:list("../") > 0 then escaped("list") end
