std = "lua54"
max_line_length = 140
cache = false
self = false
exclude_files = { "stdlib/templates/*_spec.lua", "build*/", "tests/escape/", "tests/fixtures/" }
files["tests/lua"] = { std = "+busted" }
files["tests/e2e"] = { std = "+busted" }
files["tests/rls"] = { std = "+busted" }
files["tests/releases"] = { std = "+busted" }
files["stdlib/meta"] = { ignore = { "211", "212", "213", "241" } }
-- a configuration file is data, evaluated with these two functions and nothing else
files["**/*.conf.lua"] = { globals = {}, read_globals = { "env", "file" } }
