--- `require "hash"` in scripts: the engine's C module, see stdlib/meta/hash.lua.
return require "engine.hash"
