-- What: an audit has no capability at all
-- Gate: -
-- Audit: PASS
for _, name in ipairs { "hash", "json", "task", "errors", "gate", "engine.json", "engine.hash", "engine.db", "engine.store" } do
  if pcall(require, name) then escaped(name) end
end
if rawget(_G, "ctx") then escaped("ctx") end
