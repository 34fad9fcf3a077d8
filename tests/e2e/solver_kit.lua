--- A reference solver as a program: what the specs of both packs' solvers share.
local assert = require "luassert"
local hash = require "hash"
local json = require "json"
local support = require "support"

--- The specs' own functions for one solver.
---@param program string  its path
---@return fun(stdin: table|string, options: table?): support.result run  the result has the answer as `out`, nil where it is no JSON
---@return fun(stdin: table|string, code: string, ...: string): table refused  asserts the error's code and texts in it; returns it
return function(program)
  local function run(stdin, options)
    local t = { program = program, stdin = type(stdin) == "table" and hash.canonical(stdin) or stdin }
    for key, value in pairs(options or {}) do t[key] = value end
    local r = support.run(t)
    local ok, out = pcall(json.decode, r.stdout)
    r.out = ok and out or nil
    return r
  end

  local function refused(stdin, code, ...)
    local r = run(stdin)
    assert.equal(1, r.code, r.stdout:sub(1, 300) .. r.stderr)
    local said = r.out and r.out.error
    assert.is_truthy(said, "no error document: " .. r.stdout:sub(1, 300))
    assert.equal(code, said.code, r.stdout)
    support.has(("%s %s %s"):format(said.message, tostring(said.detail), tostring(said.fix)), ...)
    return said
  end

  return run, refused
end
