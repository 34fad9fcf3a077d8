-- What: a link in the store that leads out of it
-- Gate: PASS
-- Audit: -
-- Needs: stores = { "artifacts" }
local store = ctx.store.artifacts
for _, key in ipairs { "link", "linked/passwd", "linked/new" } do
  if pcall(store.get, store, key) then escaped("get " .. key) end
  if key ~= "link" and pcall(store.put, store, key, "x") then escaped("put " .. key) end
end
