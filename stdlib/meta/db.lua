---@meta

--- `require "engine.db"`, and in gate scripts the connections `ctx.db.<role>`: PostgreSQL.
---
--- Parameters are `$1`, `$2` … and nothing else; the server finds out their types from their place, so cast where the place says
--- nothing: `select $1::int8`. Sent are: nil and db.null (NULL), booleans, integers, floats, strings (UTF-8 without NUL bytes),
--- decimals, and what db.json, db.array and db.bytea make.
---
--- Results: int2, int4, int8, oid → integer · float4, float8 → float · bool → boolean · numeric → integer where it is a whole
--- number that fits, else float where a float is exactly it, else gate.decimal · json, jsonb → table, JSON null as db.null · arrays
--- of built-in types → lists, NULL elements as db.null · timestamptz → RFC 3339 in UTC ("2027-01-31T12:00:00.5Z"; infinity, BC and
--- years over 9999 as PostgreSQL writes them) · bytea → the bytes · everything else (text, uuid, date, timestamp, interval, enums)
--- → text as PostgreSQL writes it · SQL NULL → nil.
---
--- Errors are tables {code, message, detail, hint, sqlstate, schema, table, column, constraint, query, position, context, fix}
--- with these codes:
---   db_connect     no server there, no answer in time, no such database
---   db_auth        the server does not accept user or password
---   db_query       the server refuses the statement (see sqlstate)
---   db_permission  42501, row-level security included, and 25006 (read-only)
---   db_timeout     57014 (statement_timeout) and 55P03 (lock_timeout, NOWAIT), or a server that no longer answers
---   db_aborted     25P02: an earlier statement of the transaction has failed; a pipeline's statement that was therefore not run
---   db_transaction SQL has begun or ended a transaction which connection:transaction is in charge of
---   db_value       a value that Lua cannot hold (select it as text)
---   db_lost        the connection broke: server gone, session terminated
---   db_closed      used after close
---   db_busy        another task's statement or transaction is under way on it
---@class gate.db
---@field null lightuserdata SQL NULL and JSON null
local db = {}

---@class gate.db.options
---@field url string?               connection URI or keyword/value string; the other options win over it
---@field host string?              host name, or directory of a unix socket
---@field hostaddr string?          IP address, to connect without resolving `host` (which blocks)
---@field port integer?
---@field dbname string?
---@field user string?
---@field password string?
---@field application_name string?  default "gate-engine"
---@field role string?              SET ROLE after connecting, and again by reset_session
---@field readonly boolean?         see below
---@field rollback boolean?         see below
---@field only_tls boolean?         no further than TLS, unverified: for tls() of a server whose certificate does not hold. No credential
---                                 is sent, and no statement can be
---@field connect_timeout number?   seconds over all addresses, default 10
---@field statement_timeout_ms integer? the server cancels longer statements; 0 = the server's own setting
---@field options table<string, string|number|boolean>? server settings the session starts with (and returns to with RESET)

--- Opens a connection.
---
--- `readonly`: each statement runs in a read-only transaction of its own whose snapshot is already taken, so that the server
--- refuses every attempt to make it writable; `script` and `copy_in` are refused. What it does not stop is what PostgreSQL itself
--- allows in read-only transactions: temporary tables, SET, advisory locks, NOTIFY, functions that reach outside the transaction
--- (dblink, COPY TO PROGRAM, lo_export, pg_terminate_backend). The role's privileges must do that.
---
--- `rollback`: nothing that is done on the connection stays. A statement alone runs in a read-only transaction of its own, which is
--- rolled back (SET and RESET, which change the session, are not); `transaction` may do anything and always ends with ROLLBACK, inside
--- of which a statement that would begin or end a transaction is refused, and so is a `script` in which, after a semicolon, one could.
--- What no transaction holds is not taken back: sequences go on, and what a function reaches outside stays reached.
---
--- readonly, statement_timeout_ms and options are start-up parameters, which some poolers refuse.
---
--- Errors: db_connect, db_auth, db_permission (role), bad_argument. None holds the password.
---@param options gate.db.options
---@return gate.db.connection
function db.connect(options) end

--- A parameter for json and jsonb: the value as JSON text. An empty table is an object unless json.array marks it.
---@param value any
---@return userdata
function db.json(value) end

--- A parameter for an array. Nested lists are further dimensions; db.null is a NULL element.
---@param list any[]
---@param type string? element type ("uuid", "int8", "text" …) where the place in the SQL does not tell it
---@return userdata
function db.array(list, type) end

--- A parameter for bytea.
---@param bytes string
---@return userdata
function db.bytea(bytes) end

--- A numeric which no Lua number holds exactly. `tostring` and `..` give it as the server wrote it; <, <=, == (between decimals)
--- compare exactly, with integers and floats too; arithmetic and `tonumber` go through the nearest float. `string.format("%s")`
--- takes it, "%d" and "%f" do not.
---@class gate.decimal
---@operator add(number|gate.decimal): number
---@operator sub(number|gate.decimal): number
---@operator mul(number|gate.decimal): number
---@operator div(number|gate.decimal): number
---@operator unm: number
local decimal = {}

--- The nearest float.
---@return number
function decimal:tonumber() end

---@class gate.db.rows
---@field n integer          how many rows
---@field columns string[]   their columns, in order; of columns with the same name the last one's value is in the row
---@field affected integer   rows the statement changed or returned
---@field [integer] table<string, any>

--- A connection. It may be declared `<close>`. Used by one task at a time.
---@class gate.db.connection
local connection = {}

--- Runs one statement.
---
--- ```lua
--- local rows = ctx.db.admin:query("select n, n * n as square from generate_series(1, $1::int) n", 3)
--- assert(rows.n == 3 and rows[3].square == 9)
--- ```
---@param sql string
---@param ... any parameters $1, $2 …
---@return gate.db.rows
function connection:query(sql, ...) end

--- The first row, or nil when there is none.
---@param sql string
---@param ... any
---@return table<string, any>?
function connection:row(sql, ...) end

--- The first column of the first row; nil when it is NULL and when there is no row.
---@param sql string
---@param ... any
---@return any
function connection:value(sql, ...) end

--- Runs one statement for its effect.
---@param sql string
---@param ... any
---@return integer affected rows
function connection:exec(sql, ...) end

--- Runs several statements in one string, without parameters. Outside a transaction they are one transaction, unless the text
--- says otherwise. The error of a statement has its number in `statement`.
---@param sql string
---@return integer statements
function connection:script(sql) end

--- Runs a statement of which a refusal is expected. Inside a transaction it gets a savepoint of its own, so that the transaction
--- goes on after a refusal. What the server did not answer (db_lost, db_closed) is still raised. Look at the code: a refusal by
--- privilege or policy is db_permission, anything else says nothing about rights.
---
--- ```lua
--- ctx.db.admin:transaction(function(tx)
---   local ok, why = tx:try("select * from no_such_table")
---   assert(not ok and why.sqlstate == "42P01")
---   assert(tx:value("select 1") == 1)
--- end, { rollback = true })
--- ```
---@param sql string
---@param ... any
---@return boolean ok
---@return integer|gate.Error affected rows, or the error
---@return gate.db.rows? rows
function connection:try(sql, ...) end

--- Calls fn(connection) in a transaction: commits when it returns, rolls back when it raises (the same error is raised again) and
--- always with rollback=true. Inside a transaction it is a savepoint. Errors: db_aborted when fn caught the error of a statement
--- without a savepoint around it; db_transaction when SQL inside ended the transaction.
---@generic R
---@param fn fun(connection: gate.db.connection): R...
---@param options {isolation: "read committed"|"repeatable read"|"serializable"|nil, readonly: boolean?, rollback: boolean?}?
---@return R ...
function connection:transaction(fn, options) end

---@class gate.db.outcome
---@field ok boolean
---@field rows gate.db.rows?  when ok
---@field affected integer?   when ok
---@field error gate.Error?   when not

--- Sends all statements in one round trip. Each stands alone: outside a transaction it is one of its own, inside it gets a
--- savepoint, so that a refused one leaves the others be. With atomic=true the first failure stops the rest (db_aborted) and,
--- outside a transaction, undoes what went before.
---@param list { [integer]: any, n: integer? }[] each {sql, $1, $2, …}; n = the length where the last parameters are nil
---@param options {atomic: boolean?}?
---@return gate.db.outcome[]
function connection:pipeline(list, options) end

--- Runs COPY … TO STDOUT.
---@param sql string
---@return string data at most 256 MB
function connection:copy_out(sql) end

--- Runs COPY … FROM STDIN.
---@param sql string
---@param data string
---@return integer rows
function connection:copy_in(sql, data) end

---@class gate.db.notice
---@field severity "NOTICE"|"WARNING"|"INFO"|"LOG"|"DEBUG"
---@field sqlstate string
---@field message string
---@field detail string?
---@field hint string?

--- The server's notices since the last call, at most 1000; `dropped` counts those beyond.
---@return gate.db.notice[]
function connection:notices() end

--- Makes the session as new (DISCARD ALL) and sets the role again. Not inside a transaction. A custom setting that was ever set
--- reads as '' afterwards, not NULL: for a session that never set it, open a connection.
---@return gate.db.connection
function connection:reset_session() end

--- A parameter the server reports: "server_version", "TimeZone", "is_superuser", "session_authorization" … nil for others.
---@param name string
---@return string?
function connection:parameter(name) end

--- The process that serves this connection: what pg_stat_activity calls pid.
---@return integer
function connection:backend_pid() end

--- What TLS the connection has.
---
--- ```lua
--- local tls = ctx.db.admin:tls()
--- assert(tls.used or tls.protocol == nil)
--- ```
---@return {used: boolean, mode: string?, protocol: string?, cipher: string?, address: string?, certificate: http.certificate?}
---        mode: the sslmode of libpq that is in force; address: of the server
function connection:tls() end

--- False once closed or known to be lost.
---@return boolean
function connection:is_open() end

--- Ends the connection; a transaction that is open rolls back. Closing twice is no error.
function connection:close() end

return db
