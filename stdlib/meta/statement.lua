---@meta

--- `require "engine.statement"` in the stdlib: SQL text as PostgreSQL reads it. Pure: nothing is run, no server is asked.
---
--- Errors: statement_unread (tree: no SQL that PostgreSQL 15's parser knows), bad_argument.
---@class engine.statement
local statement = {}

---@class statement.Context  one set_config(…), SET or RESET of a setting that was asked for
---@field setting string?            as it was asked for; absent where a parameter names it
---@field setting_parameter integer? $n that names it
---@field local boolean?             for the transaction alone; absent where a parameter or an expression says it
---@field local_parameter integer?   $n that says it
---@field from "literal"|"parameter"|"expression"|"default"
---@field value string?              of a literal; "" of a default
---@field parameter integer?         $n that is the value

---@alias statement.Kind "other"|"begin"|"commit"|"rollback"|"prepare_transaction"|"savepoint"|"release"|"rollback_to"|"prepare"
---|"execute"|"deallocate"|"discard_all"|"reset_all"|"set_role"|"set_session"|"do"

---@class statement.Scanned
---@field kind statement.Kind
---@field text string     normalised: literals are '?' and 0, lists of them their first, comments gone; still SQL
---@field name string     of a savepoint, a prepared statement, a role; "" = none or all
---@field is_local boolean SET LOCAL
---@field chain boolean   COMMIT or ROLLBACK AND CHAIN
---@field cut boolean     the text ended within a token, or is longer than 16 KB when it is normalised
---@field contexts statement.Context[]

--- Cuts a text into its statements, takes their literals out, and tells what they say of settings. Never fails for what the
--- text says: what is no SQL is cut and normalised all the same.
---
--- ```lua
--- local one = require("engine.statement").scan("select * from t where a = 'b'")[1]
--- assert(one.text == "select * from t where a = '?'")
--- ```
---@param sql string
---@param options? {settings: string[]?, standard_strings: boolean?, more: boolean?}  settings: names to look for; standard_strings:
---standard_conforming_strings of the session (true); more: the text goes on but is not here
---@return statement.Scanned[]
function statement.scan(sql, options) end

---@class statement.Tree
---@field node string       "SelectStmt", "InsertStmt" … as PostgreSQL's parser calls it
---@field touches boolean   rows are read or written (not: DDL, SET, PREPARE, EXPLAIN without ANALYZE)
---@field tables {schema: string?, name: string}[]     without names of common table expressions
---@field functions {schema: string?, name: string}[]
---@field name string?      of PREPARE and EXECUTE

--- Which tables and functions the statements of a text speak of (libpg_query 15).
---@param sql string
---@return statement.Tree[]
function statement.tree(sql) end

return statement
