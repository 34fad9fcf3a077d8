---@meta

--- `require "sql"` (or "engine.sql"): PostgreSQL's own grammar, that of PostgreSQL 15, by libpg_query. Nothing is executed and
--- no database is asked. Pure: any script may use it, no need has to be declared.
---
--- Bounds: a text of 1 MB, 10,000 operators and words, about 1,000 levels of nesting.
---@class engine.sql
local sql = {}

---@class sql.Error: gate.Error
---@field position integer?  the character at which a syntax error was found, counted from 1

--- Parses a text of one or more statements. The tree is libpg_query's JSON as tables: a node is a table with the name of its
--- kind as the one key, as in `{A_Expr = {kind = "AEXPR_OP", name = {{String = {sval = "="}}}, lexpr = …, rexpr = …}}`. What has
--- its default value (0, false, "") is absent. The kinds are PostgreSQL's (src/include/nodes/parsenodes.h).
---
--- ```lua
--- local tree = sql.parse "select a = 1"
--- local expr = tree.stmts[1].stmt.SelectStmt.targetList[1].ResTarget.val
--- assert(expr.A_Expr.kind == "AEXPR_OP")
--- ```
---@param text string
---@return {version: integer, stmts: {stmt: table, stmt_location: integer?, stmt_len: integer?}[]}
---Errors: sql_syntax (with position), sql_size, sql_depth, sql_encoding (not UTF-8, or a NUL byte), sql_failed, bad_argument.
function sql.parse(text) end

--- A hash of the tree: 16 hexadecimal digits, the same for texts that differ in constants, white space and spelling only.
---@param text string
---@return string
---Errors: as sql.parse.
function sql.fingerprint(text) end

--- The text with $1, $2, … in place of its constants.
---@param text string
---@return string
---Errors: as sql.parse.
function sql.normalize(text) end

return sql
