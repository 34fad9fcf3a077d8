--- `require "json"` in scripts: the engine's C module, see stdlib/meta/json.lua.
return require "engine.json"
