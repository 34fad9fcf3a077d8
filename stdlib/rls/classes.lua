--- Every class of finding of gate 1: its text, its fix, how much it matters, and what it means.
--
-- A class is a stable machine name: reports, baselines and CI filters hold on to it. `gate-engine explain CLASS` shows `explain`.
-- Severity: what shows or changes another tenant's row, or lets the role do so, is a leak and fails. Existence oracles, volumes and what
-- needs a person's word are advisories. Sections named are those of the PostgreSQL manual.
local classes = {}

local LEAK = "Cross-tenant leak detected"
local FIX = "Fix query or policy"

--- One class of the isolation group.
local function leak(what, fix, explain)
  return { text = LEAK .. (what and ": " .. what or ""), fix = fix or FIX, explain = explain }
end

local function advisory(text, fix, explain)
  return { text = text, fix = fix, severity = "advisory", explain = explain }
end

--- The fix of a function that runs with an unbound owner's rights.
classes.OF_DEFINERS = "Make it SECURITY INVOKER, or give it to an owner whom FORCE ROW LEVEL SECURITY binds"

local COVERAGE = {
  rls_missing = { text = "RLS policy missing on table %s", fix = "Add policy in migration",
    explain = [[Row-level security is off, or on without a policy. Off, whoever has a grant sees every tenant's rows with a plain
SELECT. A partition or inheritance child is not covered by its parent's policies when it is named itself (section
5.8). Close it: ENABLE and FORCE ROW LEVEL SECURITY, and a policy that compares the tenant column with the tenant
setting.]] },
  rls_no_policy = { text = "Table %s has row-level security without a policy", fix = "Add a policy, or revoke the grants",
    severity = "note",
    explain = [[With row-level security on and no permissive policy every row is denied: no leak. The application gets nothing from
the table, which is probably not what its grants were meant for.]] },
  rls_not_forced = { text = "RLS is not forced on table %s",
    fix = "ALTER TABLE … FORCE ROW LEVEL SECURITY, so that its owner is bound too",
    explain = [[Policies do not bind the table's owner, nor whoever is a member of the owner, unless row-level security is forced
(section 5.8). Views and SECURITY DEFINER functions of the owner see every tenant's rows. Close it: ALTER TABLE …
FORCE ROW LEVEL SECURITY.]] },
  unclassified_table = advisory("Table %s is not classified", "Add it to database.shared or database.tenant_scoped",
    [[The application may reach this table, and neither a tenant column, nor a foreign key to a tenant's table, nor the
configuration says whose its rows are. It is probed by nobody. Say so: database.shared where its rows are
everybody's, database.tenant_scoped where they are a tenant's.]]),
}

local ROLES = {
  role_bypasses_rls = { text = "The application's role %s is not bound by RLS",
    fix = "Give the application a role without SUPERUSER and BYPASSRLS",
    explain = [[A superuser, a role with BYPASSRLS, and whoever may SET ROLE to one of them see every row; no policy is asked
(section 5.8). Injected SQL needs one statement: SET ROLE. Close it: ALTER ROLE … NOSUPERUSER NOBYPASSRLS, and
revoke the membership.]] },
  role_owns_table = leak("the application's role may switch row-level security off",
    "Let another role own the tables, and the application's role hold grants only",
    [[The owner of a table, and whoever is a member of it, may ALTER TABLE … DISABLE ROW LEVEL SECURITY or drop its
policies; FORCE does not hinder that. Close it: a role of its own for migrations owns the tables, the application's
role is no member of it.]]),
  role_owns_schema = leak("the application's role may drop what is in the schema",
    "Let another role own the schema, and the application's role have USAGE only",
    [[The owner of a schema, and whoever is a member of it, may drop every object in it, whoever owns that, and make others under the
same names (DROP TABLE).]]),
  role_owns_function = leak("the application's role may change a function that guards the tables",
    "Let another role own the function, and the application's role have EXECUTE only",
    [[The owner of a function, and whoever is a member of it, may replace what it does (CREATE OR REPLACE FUNCTION) or pin a setting to
it (ALTER FUNCTION … SET app.tenant_id = …). One that a policy calls then says what its owner wants; one that a trigger or a view
runs does so in every other tenant's session.]]),
  role_writes_all_data = leak("the application's role may write every table", "REVOKE pg_write_all_data FROM the role",
    [[pg_write_all_data grants INSERT, UPDATE and DELETE on every table, those made tomorrow too: each one without row-level
security is open. (PostgreSQL 14; section 22.5.)]]),
  role_runs_programs = leak("the application's role may read the server's files or run programs",
    "REVOKE pg_read_server_files, pg_write_server_files, pg_execute_server_program, and functions that read files, FROM the role",
    [[pg_read_server_files, pg_write_server_files and pg_execute_server_program reach the data directory and the operating
system, where no policy is asked: COPY t FROM PROGRAM 'cat …' (section 22.5). So do functions that are the superuser's until
somebody grants them: pg_read_binary_file, lo_import, dblink_connect_u.]]),
  role_sets_parameters = leak("the application's role may switch off what keeps tenants apart",
    "REVOKE SET and ALTER SYSTEM ON PARAMETER … FROM the role",
    [[SET session_replication_role = replica switches off foreign keys and triggers, on which it rests whose rows refer to whose;
lo_compat_privileges the owners of large objects; session_preload_libraries and dynamic_library_path say what code is
loaded. ALTER SYSTEM changes all sessions (GRANT, PostgreSQL 15).]]),
  role_watches_sessions = advisory("The role %s may watch or end other roles' sessions",
    "REVOKE pg_monitor, pg_read_all_stats and pg_signal_backend FROM the application's role, and give monitoring one of its own",
    [[Members of pg_monitor and pg_read_all_stats see every session's statement in pg_stat_activity, with the values in it, and
the normalised ones in pg_stat_statements; members of pg_signal_backend end other roles' sessions (section 22.5).]]),
  role_replication = leak("the application's role may replicate the database", "ALTER ROLE … NOREPLICATION",
    [[A role with REPLICATION receives every change of every tenant from the write-ahead log, and may take a base backup;
row-level security does not apply to replication.]]),
  role_creates_roles = leak("the application's role may grant itself other roles", "ALTER ROLE … NOCREATEROLE",
    [[Up to PostgreSQL 15 a role with CREATEROLE may make itself a member of every role that is no superuser: of the
tables' owner, of pg_execute_server_program (section 22.2).]]),
  role_reads_all_data = leak("the application's role may read every table", "Grant what the application uses, table by table",
    [[pg_read_all_data grants SELECT on every table, view and sequence, those made tomorrow too. Row-level security still binds the
role, but every table that lacks it is open. (PostgreSQL 14; section 22.5.)]]),
}

local POLICIES = {
  policy_always_true = leak("a policy lets every row through", nil,
    [[A permissive policy is true for every row: USING (true), an OR that is always true, a test that does not look at the
row. Policies of one command are combined with OR: one that is always true opens what the others close.]]),
  policy_unset_tenant = leak("rows are open while no tenant is set", nil,
    [[Without a tenant setting the policy is true: coalesce(current_setting(…, true), tenant_id::text), "… OR
current_setting(…) IS NULL". Every connection starts that way, and RESET leads back to it.]]),
  policy_empty_tenant = leak("rows are open while the tenant setting is empty", nil,
    [[After a transaction with set_config(…, true) the setting reads as the empty string in that session, not as NULL. A
policy that takes '' for "no filter" opens every row to the next statement of a pooled connection.]]),
  policy_default_tenant = leak("without a tenant the policy falls back to one", nil,
    [[coalesce(current_setting(…, true), '<a tenant>') and its like show the rows of a fixed tenant to whoever has not set
one.]]),
  policy_null_tenant = leak("rows without a tenant are open to every tenant",
    "Make the tenant column NOT NULL, and drop the IS NULL branch",
    [[The policy is true for rows whose tenant column is NULL ("tenant_id IS NULL OR …", IS NOT DISTINCT FROM an absent
setting). Rows that lost their tenant, or never had one, are every tenant's to read and often to write.]]),
  policy_escape_setting = leak("another setting opens the rows", "Take the branch out of the policy, or let a role decide it",
    [[The policy asks another setting, such as app.is_admin or app.bypass_rls. Any session may set any custom setting: one
SELECT set_config(…) of injected SQL, and no tenant is safe. A setting that really cannot be reached is stated in
the configuration's trust, with its reason.]]),
  policy_user_test = leak("the login decides, not the tenant", nil,
    [[The policy is true for session_user or current_user as it is for the application: all tenants share that login.]]),
  policy_prefix_match = leak("the tenant is compared by pattern or prefix", "Compare the whole value with =",
    [[LIKE, starts_with, left, position: tenant '1' matches '10', '%' matches all, and the empty setting is a prefix of
everything.]]),
  policy_loose_match = leak("the tenant is compared by what several tenants share", "Compare the whole value with =",
    [[lower(), trimming, parts of the value, a remainder: ids that differ give the same result, so that one tenant's session matches
another's rows.]]),
  policy_list_injection = leak("a setting that is taken apart can hold a second tenant", nil,
    [[The policy splits a setting that any session may set into a list of ids: whoever sets it adds tenant B's.]]),
  policy_not_distinct = leak("an absent tenant equals a row without one", "Compare with =, which is NULL where either side is",
    [[IS NOT DISTINCT FROM is true where both sides are NULL: without a setting the rows without a tenant are open.]]),
  policy_captured_column = leak("the policy compares a row with itself", "Qualify the column: tasks.tenant_id = projects.tenant_id",
    [[In a subquery an unqualified name means the inner table's column first (section 7.2): "WHERE p.tenant_id =
tenant_id" compares the inner table with itself and is always true.]]),
  policy_precedence = leak("AND binds closer than OR", "Put the alternatives into parentheses",
    [["tenant = … AND active OR published" reads "(tenant = … AND active) OR published": the last branch forgets the
tenant.]]),
  policy_write_unchecked = leak("rows of another tenant can be written", "Add WITH CHECK with the same test as USING",
    [[Without a test of the new row (WITH CHECK (true), or a policy for UPDATE whose check is wider than its USING) the
application may insert rows for another tenant, or hand its own rows over.]]),
  policy_lookup_writable = leak("a table that the application may write decides",
    "Revoke the writes, or guard the table with policies of its own",
    [[The policy asks a membership or lookup table which the application's role may write: it adds itself to tenant B's
members first, or makes a row of its own refer to what is tenant B's.]]),
  policy_widens = leak("a second permissive policy opens what the first closes", "Make it AS RESTRICTIVE, or drop it",
    [[Permissive policies are combined with OR. A policy that was meant to narrow has to be AS RESTRICTIVE (CREATE
POLICY).]]),
  policy_leak = leak("a policy lets another tenant's row through", nil,
    [[The prover found values for the session and the row with which the table's policies are true for another tenant.]]),
  server_release = advisory("%s has known holes in row-level security", "Upgrade the server to its newest minor release",
    [[Each of them lets a session see or change rows that the policies hide, whatever the policies are. The detail names them
as the advisories at postgresql.org/support/security do, and the minor release of this major version that closes each.
A minor release needs no dump and no change of the schema.]]),
  policy_unproven = advisory("A policy on %s is probed, not proven",
    "Let it compare the tenant column with the tenant setting, and nothing else",
    [[Whether the policy binds the tenant could not be decided from its text; the probe, with canary rows of two tenants,
and a search on the server for values of the columns it names and for keys near the own one, found no way through. A probe
tries what it knows: read the reason, and simplify the policy where you can.]]),
  policy_trusted = advisory("What isolates %s rests on a trust entry", "Review the entry's reason before it expires",
    [[The policy, or the text of a function or view with its owner's rights, has a way through that the configuration's
trust declares out of the attacker's reach, or trust names the function itself. The entry stands in every report.]]),
  trust_expired = { text = "The trust in %s has expired", fix = "Review it: renew the entry with a new date, or close what it covered",
    explain = [[An entry of the configuration's trust counts until the day it names. What it covered is a leak again, and stands beside
this finding.]] },
  trust_changed = { text = "The function %s is not the one that was trusted",
    fix = "Read it as it is now: renew the entry's definition, or close what it covered",
    explain = [[An entry of the configuration's trust that names a function pins what the function is: its declaration, its text, and those
of the functions that its text leads to. One of them was changed since. What the entry covered is a leak or undecided again, and stands
beside this finding, with the entry as it would have to be.]] },
  trust_unused = { text = "Nothing rests on the trust in %s", fix = "Remove the entry from the configuration",
    explain = [[An entry of the configuration's trust that no policy needs covers nothing today and would silently cover what somebody
writes tomorrow.]] },
  context_function_cached = leak("a function that reads the tenant is IMMUTABLE", "Declare it STABLE",
    [[An IMMUTABLE function is computed once, when a statement is planned. A cached plan (prepared statement, PL/pgSQL)
then goes on with the tenant of whoever came first (section 38.7).]]),
}

local OBJECTS = {
  cross_tenant_leak = leak(nil, nil,
    [[As the application, with tenant A set, a statement reached tenant B's canary row. The finding's text to reproduce is
that statement.]]),
  view_owner_rights = leak("a view reads with its owner's rights",
    "ALTER VIEW … SET (security_invoker = true), or give it to an owner whom policies bind",
    [[A view reads its tables as its owner, and the owner's policies count (section 41.5). An owner who is a superuser,
has BYPASSRLS, or owns tables without FORCE sees every tenant's rows, and so does whoever reads the view. A view that
tests the tenant itself has to do so beneath its window functions, groups and aggregates, or partition and group by the
tenant: else others' values flow into the own rows. A LIMIT or DISTINCT ON beneath the test only tells that others have
rows, and is an advisory. security_invoker: PostgreSQL 15.]]),
  materialised_view = leak("row-level security cannot bind a materialised view",
    "Revoke it, and let the application read a view over it that tests the tenant",
    [[A materialised view is a copy, made with its owner's rights; policies cannot be attached to it.]]),
  foreign_table = leak("row-level security cannot bind a foreign table", "Revoke it, or guard it on the remote side",
    [[Policies cannot be attached to a foreign table; the remote server sees one user for all tenants.]]),
  rule_rewrites = leak("a rule writes with its owner's rights", "Replace the rule by a trigger or by application code",
    [[The actions of a rewrite rule run with the rights of the relation's owner (section 41.5), whom the policies may not
bind.]]),
  grant_truncate = leak("the application may TRUNCATE the table", "REVOKE TRUNCATE ON the table FROM the role that has it",
    [[TRUNCATE removes every tenant's rows; no policy is asked (section 5.8).]]),
  grant_trigger = leak("the application may attach triggers", "REVOKE TRIGGER ON the table FROM the role that has it",
    [[Whoever has the TRIGGER privilege attaches a function to the table that then runs in every other tenant's session,
with that session's tenant set, and sees the rows it writes.]]),
  grant_references = advisory("The application may refer to %s by foreign keys",
    "REVOKE REFERENCES ON the table FROM the role that has it",
    [[Foreign keys are checked without policies: a key that is accepted says that the row exists, whoever's it is.]]),
  function_definer = leak("a SECURITY DEFINER function reaches other tenants' rows", classes.OF_DEFINERS,
    [[A SECURITY DEFINER function runs with its owner's rights. Where row-level security does not bind the owner, what the
function selects and changes is limited by its own text alone; without SET search_path the caller may also put other
tables under its names. One that reaches every tenant's rows because that is what it is for, such as a report for the
platform's own people, is named in the configuration's trust, with the entry that the fix has.]]),
  function_by_secret = { text = "%s answers whoever gives a secret", severity = "note",
    fix = "See that the secret is long and random, and that guessing it is limited",
    explain = [[It runs with the rights of an owner whom no policy binds, and shows the rows of a tenant only to who gives what a column
holds the hash of, as a login has to. That is no leak as long as the secret cannot be guessed.]] },
  function_search_path = leak("a function looks up names where the caller may put its own",
    "Write schema.table and pg_catalog.uuid in the function, or ALTER FUNCTION … SET search_path = pg_catalog, pg_temp",
    [[A function without SET search_path finds its tables and types along the caller's path, and pg_temp comes first unless the path
names it last: a temporary table of the attacker's takes the place of the one that was meant, with the attacker's rows in it, and a
temporary type that of uuid, with a cast that always gives another tenant (CREATE FUNCTION, "Writing SECURITY DEFINER Functions
Safely"). A function in SQL that is to stay inlined takes no SET: write pg_catalog.uuid there, or give it a body that is kept parsed
(BEGIN ATOMIC, from PostgreSQL 14). Where a helper of the policies reads custom
settings and nothing else, a temporary type gives nothing that SET does not give as well: that is an advisory. REVOKE
TEMPORARY ON DATABASE … FROM PUBLIC takes the temporary ones away from everybody.]]),
  foreign_key_cascade = leak("a foreign key of a shared table changes tenants' rows",
    "Let the key say ON DELETE RESTRICT, or revoke the writes on the shared table",
    [[ON DELETE CASCADE and SET NULL act with the rights of the referencing table's owner, and no policy is asked: whoever may
delete a row that is everybody's changes or deletes the rows of every tenant that refer to it (section 5.8).]]),
  view_not_barrier = leak("a view's own test of the tenant can be looked behind", "ALTER VIEW … SET (security_barrier = true)",
    [[A view that reads with its owner's rights and filters by the tenant itself has to be a security_barrier: otherwise the
planner may call a cheap function of the reader on rows before the filter has hidden them (section 41.5).]]),
  trigger_copies = leak("a trigger copies rows to a table that is everybody's",
    "Give the target the tenant column and policies, or revoke it",
    [[A trigger writes what it is given into a table without the tenant column or without policies, which the application
may read.]]),
  trigger_notifies = leak("a trigger sends rows to whoever listens",
    "Send the row's key alone, and let the listener read the row as its tenant",
    [[NOTIFY and pg_notify reach every session of the database that listens on the channel, and LISTEN asks for no right: what a
trigger sends of a row, another tenant reads without a policy. A channel's name is no secret. What tells the key alone
tells that there was a change, and is an advisory.]]),
  policy_tells = leak("a policy's function tells the rows that it hides",
    "Take the arguments out of RAISE, or compare the tenant before it",
    [[A policy asks its functions of every tenant's rows. What such a function raises, as an error or as a notice, is sent to the
client whatever the policy then answers, and client_min_messages, which says how much of it, is the session's to set (section 43.9).]]),
  leakproof_claim = leak("a function that claims to be LEAKPROOF tells what it sees", "ALTER FUNCTION … NOT LEAKPROOF",
    [[The planner may call a LEAKPROOF function on rows before the policies have hidden them. One that raises, logs or
stores its arguments shows other tenants' values (CREATE FUNCTION).]]),
  publication_exposes = advisory("A publication sends rows of %s",
    "Use a row filter per tenant, or trust the subscriber with every tenant",
    [[Logical replication sends rows without asking policies. Whoever subscribes sees every tenant.]]),
  sequence_shared = advisory("The sequence of %s is shared by the tenants",
    "Use identity columns that the application cannot read, or UUIDs",
    [[The application may read the sequence: how fast it advances tells how busy the other tenants are.]]),
  unique_oracle = advisory("A unique key of %s spans the tenants", "Make the key unique per tenant: UNIQUE (tenant_id, …)",
    [[A unique constraint sees every tenant's rows: a conflict tells that another tenant has the value (section 5.8,
"covert channels").]]),
  foreign_key_oracle = advisory("A foreign key of %s reaches across tenants", "Refer to (tenant_id, id) instead of id alone",
    [[Referential checks bypass policies: an accepted key tells that the row exists, and ties a row to another tenant's.]]),
  default_privileges = advisory("Tables made later in %s come with rights beyond policies",
    "ALTER DEFAULT PRIVILEGES … REVOKE TRUNCATE, TRIGGER ON TABLES FROM the role",
    [[ALTER DEFAULT PRIVILEGES grants rights on tables that are not there yet. TRUNCATE and TRIGGER are bound by no policy
(section 5.8): each table that the next migration makes would be open to them.]]),
  large_object = advisory("Large objects are not bound by policies",
    "Keep the bytes in a table, or grant each object to its owner alone",
    [[Row-level security does not apply to large objects; whoever has SELECT on one, or runs with lo_compat_privileges,
reads it.]]),
  statistics_exposed = leak("the application may read the planner's statistics",
    "REVOKE SELECT ON pg_statistic, pg_statistic_ext_data FROM the role",
    [[pg_statistic holds values of the most common rows of every tenant; the view pg_stats hides them where policies
apply, the table itself does not.]]),
}

local CODE_PATHS = {
  set_config_missing = { text = "set_config not called", fix = "Check code path sets tenant context",
    explain = [[A code path touched tenants' tables without setting the tenant in its transaction. It works where its caller has set
one, or where a pooled connection still has the last client's.]] },
  context_session_level = { text = "Tenant context set for the session", fix = "set_config(…, true) within the transaction",
    explain = [[set_config(…, false) and SET outlive the transaction. Behind a pooler in transaction mode the next client gets the
connection with this tenant set, and sees its rows.]] },
  context_left_over = { text = "Tenant context left over from an earlier transaction",
    fix = "Set it in each transaction, before the first tenant's table",
    explain = [[A transaction touched tenants' tables with the context that an earlier one of the session had set. It works until a pool
hands the connection to somebody else.]] },
  context_changed = { text = "Tenant context changed within a transaction", fix = "One transaction for each tenant",
    explain = [[One transaction worked with two tenants' contexts: what it read of the first it may write to the second, and a plan made
for the first may be used for the second.]] },
  context_literal = { text = "Tenant context set from a literal", severity = "advisory",
    fix = "Bind the value as a parameter: set_config($1, $2, true)",
    explain = [[The tenant stands in the statement's text. Text that is put together from input can be broken out of, and the logs of
statements hold the tenants' ids.]] },
  context_needless = { text = "Tenant context set by a role that it does not bind", severity = "advisory",
    fix = "Run the application as a role that row-level security binds",
    explain = [[The role that set the context is a superuser or bypasses policies: the context looks like protection and is none.]] },
}

--- The gate itself, tried on schemas that were broken on purpose.
local MUTATION = {
  mutant_survived = { text = "A mutant of the schema survived", severity = "advisory",
    fix = "Look at what isolates the object besides the one that was broken; where nothing does, the gate has a blind spot there: "
      .. "report it",
    explain = [[With --mutate gate 1 breaks the schema in each way that matters, one at a time (policies dropped or widened, FORCE and
row-level security taken away, grants, views, functions, attributes of roles), and looks again. A mutant that no check notices
either changes nothing, since something else isolates the object too, or shows what a pass of this gate does not cover. The finding's
reproduce text is the mutant.]] },
}

local GROUPS = { COVERAGE, ROLES, POLICIES, OBJECTS, CODE_PATHS, MUTATION }

--- All classes, as a gate's head declares them.
---@return table<string, gate.Failure>
function classes.failures()
  local out = {}
  for _, group in ipairs(GROUPS) do
    for name, class in pairs(group) do out[name] = class end
  end
  return out
end

return classes
