--- `require "task"` in scripts: the engine's C module, see stdlib/meta/task.lua.
return require "engine.task"
