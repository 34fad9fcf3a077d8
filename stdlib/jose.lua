--- `require "jose"` in scripts: the engine's C module, see stdlib/meta/jose.lua.
return require "engine.jose"
