---@meta

--- `require "json"` (or "engine.json"): strict JSON. Pure: any script may use it, no need has to be declared.
---
---     JSON           Lua
---     object         table
---     array          list; an empty one carries json.array's mark, so that it is written as [] again
---     string         string (UTF-8; NUL bytes are kept)
---     1, -7          integer (64 bits)
---     1.0, 1e3       float
---     true, false    boolean
---     null           json.null, which is the same value as db.null
---
--- For bytes that are to be hashed or signed use hash.canonical; encode() keeps integers beyond 2^53 and writes the float
--- 1.0 as 1.0, which canonical JSON does not.
---@class engine.json
---@field null lightuserdata  JSON's null
local json = {}

--- Reads one JSON text of any type (RFC 8259).
---
--- ```lua
--- local value = json.decode('{"n": 1, "none": null}')
--- assert(value.n == 1 and value.none == json.null)
--- ```
---@param text string
---@return any value
---Errors: json_syntax (with line and column), json_duplicate_key, json_number (an integer beyond 64 bits, a number beyond
---a double), json_depth (over 200 levels), json_utf8, bad_argument.
function json.decode(text) end

--- Writes a value as JSON: keys sorted (the same value gives the same bytes), floats in their shortest form. Tables are
--- read raw, no metamethod runs. A table is an array when its keys are exactly 1..n, or when it is empty and marked.
---@param value any
---@param options? {indent?: integer}  indent: spaces a level, 0 to 16; 0 (the default) writes one line
---@return string
---Errors: value_type (a function, a userdata, a thread), value_number (NaN, infinite), value_key (a key that is no string
---in a table that is no list), value_utf8, value_cycle, value_depth (over 64 levels), value_size, bad_argument.
function json.encode(value, options) end

--- Marks a list, so that it is an array even while it is empty. Marks t itself and returns it; without t a new one.
---@generic T
---@param t? T[]
---@return T[]
---Errors: bad_argument (keys other than 1..n, or another metatable).
function json.array(t) end

--- Would it be written as an array?
---@param value any
---@return boolean
function json.is_array(value) end

return json
