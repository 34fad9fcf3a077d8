---@meta

--- What `run` and `recover` of a gate are called with. Fields that reach something (db, http, store, exec, solver, audits) are there
--- only where the head's `needs` declares them; a field that is not declared raises not_declared, or is nil.
---
--- ```lua
--- local found = ctx.db.admin:value("select count(*) from core.tenants where code = $1", ctx.tenant.code)
--- assert(found == 1)
--- ```
---@class gate.Context
---@field tenant {code: string, id: string?, name: string?}  the tenant; id where the platform has a row of it
---@field options table<string, any>  the script's options, by their names in the head, as values of their types
---@field config table               the configuration without its secrets; in a recovery with `services`: where each is
---@field platform {kind: "embedded"|"external"|"scratch"}
---@field mode "run"|"recover"|"operation"
---@field verbose boolean
---@field jobs integer            how much of its own work may go side by side: --jobs, or a few by the processors there are
---@field db gate.Context.db         needs.db: connections, opened when they are first used
---@field http gate.Context.http     needs.endpoints
---@field mail gate.Context.mail?    needs.mail; nil where the configuration has no mail server
---@field webhooks gate.Context.webhooks  needs.webhooks
---@field store table<string, store.handle>  needs.stores: ctx.store.artifacts
---@field files table<string, store.handle>  by option of type path: a store of what the option names
---@field exec gate.Context.exec     needs.commands
---@field solver gate.Context.solver needs.solver
---@field audits gate.Context.audits needs.audits
---@field evidence gate.Context.evidence  needs.evidence, of operations: may the tenant go live?
---@field auth {api_key: string?, entra: table?}  needs.auth: credentials it may present; of Entra ID all but the secret
local ctx = {}

---@class gate.Context.db
---@field admin gate.db.connection     reads the catalogue, tries what must not work. Whatever a gate does through it is rolled back:
---  a statement alone can only read, and db:transaction(function(tx) … end) may do anything and ends with ROLLBACK
---@field app gate.db.connection       as the application connects; what it changes stays, as it would for the application
---@field operator gate.db.connection  what operations, and ctx:apply with --apply, change things through; in a gate else like admin
local db = {}

--- Opens one more connection of a declared role. The caller closes it: `local second <close> = ctx.db:open("app")`.
---@param role "admin"|"app"|"operator"
---@param options gate.db.options?  beside those of the role
---@return gate.db.connection
function db:open(role, options) end

--- What the engine says of the evidence for the tenant: the record that holds, or why none does. `require("evidence").demand(ctx)` hands
--- back the one and refuses the other.
---@class gate.Context.evidence
---@field seq integer?        the ledger's record of the run that approved
---@field hash string?        of that record
---@field at string?          when it was (RFC 3339)
---@field statement string?   SHA-256 of the signed statement's file
---@field ledger {seq: integer, target: table}?  where it is in the database: the last record that was judged
---@field refused string?     else the class of the refusal, such as "evidence_stale"
---@field detail string?      … what is wrong
---@field fix string?         … and what to do

---@class gate.Context.http
local http = {}

--- Sends a request to an endpoint of the configuration, with the credential it names there.
---@param request http.request
---@return http.response
---Errors: http_endpoint and those of engine.http.
function http:request(request) end

---@class gate.Context.mail
---@field from string    the configuration's sender
---@field to string[]    who else is told
---@field fetch string?  how a tenant fetches its key
local mail = {}

--- Sends a message to the configuration's server, with its credentials. What it raises says that it was not accepted, for certain.
---@param message {to: string[], message: string}  RFC 5322, lines end with CRLF
---@return mail.result
---Errors: those of engine.mail, and dry_run.
function mail:send(message) end

--- Goes as far as a message would, through TLS and login, and sends none.
---@return {certificate: http.certificate?}  what the server showed
---Errors: those of engine.mail.
function mail:probe() end

--- Bytes sealed to a certificate, as engine.mail does it.
---@param pem string
---@param bytes string
---@return string der
function mail:seal(pem, bytes) end

---@class gate.Context.webhooks
local webhooks = {}

--- What an event is sent to: endpoints, each with its path.
---@param message {event: string, skip: table<string, boolean>?}
---@return string[]
function webhooks:names(message) end

--- Sends an event to the webhooks of the configuration that want it, signed as Standard Webhooks says (HMAC-SHA-256, header
--- webhook-signature). It may be sent again: its id is what a receiver tells it by.
---@param message {event: string, id: string, body: string, skip: table<string, boolean>?}  body: JSON; skip: of names
---@return {endpoint: string, delivered: boolean, detail: string}[]
---Errors: dry_run, config_value (a secret that is none).
function webhooks:send(message) end

---@class gate.Context.exec
local exec = {}

--- Starts a command of the configuration. One that fails (exit status, signal) is a result.
---@param name string
---@param options exec.run_options?
---@return exec.run_result
function exec:run(name, options) end

---@class gate.Context.solver
local solver = {}

--- Gives a request to the solver of a pack and reads its answer.
---@param pack "roster"|"routing"
---@param request table
---@param options {perturb: table?, timeout: number?, keep: integer?, again: boolean?}?  as exec.run_options has them
---@return {output: table, raw: string, stderr: string, exit: integer, duration_ms: number, perturb: table?, taken_over: any, earlier: any}
---Errors: solver_failed, solver_output, solver_<code of the solver>.
function solver:solve(pack, request, options) end

---@class gate.Context.audits
local audits = {}

--- The tenant audits of the configuration and of options of type audit.
---@return {id: integer, name: string, path: string, pack: string?, history: integer?}[]  history: earlier weeks it needs, as plan.history
function audits:list() end

--- Runs an audit on a plan in a process of its own. What it cannot do is an ERROR verdict, never raised; so is a plan of another pack, or
--- with fewer earlier weeks than the audit needs.
---@param id integer
---@param plan table
---@return {status: "PASS"|"FAIL"|"ERROR", name: string?, violations: {object: string, detail: string?}[], error: gate.Error?}
function audits:run(id, plan) end

---@class gate.Finding.fields
---@field object string?     what it is about; stands for %s in the failure's text
---@field args string[]?     where the text has more than one %s
---@field detail string?     what was found, what was expected
---@field fix string?        instead of the failure's own
---@field reproduce string?  a command or SQL to paste
---@field severity ("leak"|"advisory"|"note")?
---@field basis string?      a digest of what it rests on: to --baseline and --against another basis is another finding

--- Runs fn as a check: PASS when it ends without a finding, FAIL with one, ERROR when it raises, or hands back false, or nil and a reason;
--- the gate goes on in each case.
---
--- ```lua
--- ctx:check("one and one", function() assert(1 + 1 == 2) end)
--- ```
---@param name string  its own in the gate
---@param fn fun()
---@param options {group: string?}?  group: a name under which --only selects several
function ctx:check(name, fn, options) end

--- May a check run that is of the group, or whose name begins like it? False where --only leaves all of them out: then what they alone
--- need can be left undone. A group that is left out still has to be told by a check.
---@param group string
---@return boolean
function ctx:selects(group) end

--- Makes a finding, inside a check; it does not end the check and may be repeated.
---@param class string  one of the head's failures
---@param fields gate.Finding.fields?
---Errors: failure_unknown, script_usage (outside of a check).
function ctx:fail(class, fields) end

--- As fail, but it fails the gate only with --strict.
---@param class string
---@param fields gate.Finding.fields?
function ctx:advise(class, fields) end

--- Ends the check as SKIP. The configuration must prove that it is needless.
---@param reason string
---@param absent string  the key of the configuration that is not there, such as "packs.routing"
function ctx:skip(reason, absent) end

--- Puts a figure into the report.
---
--- ```lua
--- ctx:fact("rows", 3)
--- ```
---@param name string
---@param value any
function ctx:fact(name, value) end

--- What stands after PASS, instead of the head's `pass`.
---@param text string
function ctx:summary(text) end

--- How far something is that takes long, as a bar on the terminal that is kept up to date; elsewhere a line, with --verbose.
---
--- ```lua
--- for i = 1, 10 do ctx:progress("reading", i, 10) end
--- ```
---@param what string
---@param done integer   from 0 to total
---@param total integer  above 0
function ctx:progress(what, done, total) end

--- A line on standard error, with --verbose.
---
--- ```lua
--- ctx:log("%d rows", 3)
--- ```
---@param format string  of string.format
---@param ... any
function ctx:log(format, ...) end

--- Lines for the operator, of an operation: indented before its verdict, and in no report.
---@param text string
function ctx:say(text) end

--- A step of recovery, in `recover` only: shown as a proposal, and with --apply carried out. It has sql, run or note; a note may stand
--- beside either of the others. sql without params may be several statements.
---
--- ```lua
--- ctx:apply("Name the tenant", { sql = "update core.tenants set name = $1 where code = $2", params = { "Acme", ctx.tenant.code } })
--- ```
---@param title string
---@param step {sql: string?, params: (string|number|boolean)[]?, role: string?, run: string?, note: string?}  sql runs as role
---  (operator) with params for $1, $2 …; run: a declared command
---@return boolean applied
---Errors: bad_argument, script_usage (called by run), apply_failed, those of engine.db.
function ctx:apply(title, step) end

--- Writes bytes into the directory that an option of type path names; does nothing where the option was not given.
---@param option string
---@param name string
---@param bytes string
---@return store.info?
function ctx:artifact(option, name, bytes) end

return ctx
