--- `require "sql"` in scripts: the engine's C module, see stdlib/meta/sql.lua.
return require "engine.sql"
