/* cli_explain_isolation.c: what gate 1 gives as the class of an ERROR: what it could not decide, and the way out. Its
 * findings have their classes in the gate's head. */
#include "run/cli_parts.h"

const struct engine_class ISOLATION_CLASSES[] = {
    {"admin_pooled", "database.admin goes through a pooler that lends its sessions",
     "Give it the server's own address, or a pool in session mode.",
     "The lock by which two runs do not meet belongs to a session: lent to the next client it would be held for ever."},
    {"admin_right_missing", "database.admin lacks a right that the probe needs",
     "GRANT what the message names, or ask for less: --probe read, --probe static.",
     "The table of rights: gate-engine doc rights."},
    {"another_run", "another run of gate 1 is under way on this database", "Wait for its end.", NULL},
    {"app_unknown", "the application's role is not there", "Correct database.app.role.", NULL},
    {"canary_cycle", "no row can be made, since foreign keys lead back to their table",
     "Make one key DEFERRABLE or its columns nullable, or give the table a statement in database.fixtures.", NULL},
    {"canary_diverted", "a trigger or rule gave the canary to another tenant",
     "Let it keep a tenant that the statement states where database.admin inserts.", NULL},
    {"canary_elsewhere", "the partition takes no row of an invented tenant",
     "Give it a statement in database.fixtures whose row belongs there.", NULL},
    {"canary_key", "no ids of two invented tenants fit the tenant column's type",
     "Let the enum, domain or CHECK take two values that are no tenant's.", NULL},
    {"canary_refused", "no canary row could be inserted",
     "Give the table a statement in database.fixtures: the fix has it, with the columns that the row needs.",
     "What the values have to be is said nowhere that a program can read: in a trigger, a CHECK that calls a function, "
     "a foreign "
     "key to rows that are the platform's own."},
    {"canary_type", "no value of a column's type can be made", "Give the table a statement in database.fixtures.",
     NULL},
    {"canary_without_key", "the canary cannot be found again", "Give the table a primary key or the tenant column.",
     NULL},
    {"code_paths_not_watched", "nothing watched the application's statements",
     "Record its test suite: --record FILE -- COMMAND, or name a log with --recording FILE.", NULL},
    {"counterexample_not_reproduced", "the prover found a way through that the server does not show",
     "Report it with the policies: either the proof or the trial is wrong.", "Undecided is neither a leak nor none."},
    {"definer_unproven", "what a function with its owner's rights reaches is undecided",
     "Make it SECURITY INVOKER, give it to an owner whom FORCE ROW LEVEL SECURITY binds, or revoke EXECUTE from the "
     "application; "
     "where it is meant so, put the entry that the fix has into the configuration's trust.",
     "Its text could not be read to the end (dynamic SQL, another language), and calling it as the application with "
     "canaries of two "
     "tenants showed nothing. An entry of trust pins the text: a changed one has to be looked at again."},
    {"log_broken", "the server's log cannot be read", "Give the whole file, as csvlog or jsonlog.", NULL},
    {"log_without_statements", "the server's log has no statements of the application",
     "Set log_statement = 'all' or log_min_duration_statement = 0 while the test suite runs.", NULL},
    {"mutate_live", "--mutate breaks what it is pointed at",
     "Point it at a scratch copy: --schema FILE or --migrations DIR.", NULL},
    {"no_mutants", "there is nothing to break",
     "Check database.tenant and database.schemas: no tenants' table was found.", NULL},
    {"no_tenant_tables", "no table is a tenant's",
     "Check database.tenant.column, database.schemas, and what database.admin may see.", NULL},
    {"nothing_probed", "nothing was tried, and nothing tried is no pass",
     "Name the tables in database.tenant_scoped, or correct what the other checks ended with.", NULL},
    {"operator_right_missing", "database.operator may not apply the migration",
     "Let the tables' owner apply the file, or make database.operator a member of it.", NULL},
    {"path_failed", "a code path of the platform failed also with the tenant set", "Mend what the message says of it.",
     NULL},
    {"path_not_driven", "a code path of the platform was not called",
     "Add a call that works to stdlib/rls/code_paths.lua.", NULL},
    {"path_not_watched", "a code path touched no tenants' table",
     "Let its call in stdlib/rls/code_paths.lua reach one.", NULL},
    {"policies_undecided", "the policies were not read", "Mend what the check \"isolation: policies\" ended with.",
     NULL},
    {"probe_failed", "a table or view was not probed to the end",
     "The detail says what ended how: give the table a fixture whose rows show, the missing right, or a view that the "
     "prover reads "
     "(security_invoker).",
     "A denial counts only where the same statement works on the tenant's own row. Where that fails too nothing is "
     "known."},
    {"recording_broken", "the recording is not whole", "Record again.", NULL},
    {"recording_command_failed", "the recorded test suite failed", "Let it pass, and record again.", NULL},
    {"recording_foreign", "the recording is of another server or configuration",
     "Record on the database that the configuration names.", NULL},
    {"recording_format", "the file is no recording and no log that is known",
     "Give a recording, a csvlog or a jsonlog.", NULL},
    {"recording_lost", "the recorder could not follow a session", "Record it again.", NULL},
    {"recording_too_large", "the recording is too large", "Record fewer tests in one file.", NULL},
    {"rule_unproven", "what a rewrite rule reaches with its owner's rights is undecided",
     "Replace the rule by a trigger, or give its relation to an owner whom FORCE ROW LEVEL SECURITY binds.", NULL},
    {"statement_unread", "a recorded statement without a tenant could not be read",
     "Set the tenant before it, or split it.", "What it touches is not known."},
    {"view_unproven", "what a view with its owner's rights shows is undecided",
     "Make it security_invoker (PostgreSQL 15), give it to an owner whom FORCE ROW LEVEL SECURITY binds, or revoke it "
     "from the roles "
     "that the application may become.",
     NULL},
    {NULL, NULL, NULL, NULL},
};
