--- Functions of the server's own that lead to rows which no text names: they run SQL, or read files, large objects, what was changed, or
-- what other sessions do. PostgreSQL manual: 9.15.3, 9.13, 9.27, 9.28.6, 35.4, 28.2.
local builtins = {}

local function set(text)
  local out = {}
  for name in text:gmatch "%S+" do out[name] = true end
  return out
end

--- Those that run the SQL that one of their arguments is → which one. Of ts_rewrite the form with two.
builtins.RUN_TEXT = { query_to_xml = 1, query_to_xmlschema = 1, query_to_xml_and_xmlschema = 1, ts_stat = 1, ts_rewrite = 2 }
--- Those that read the table that their first argument names.
builtins.READ_TABLE = set "table_to_xml table_to_xml_and_xmlschema"
--- Those that read every table of a schema, or of all.
builtins.READ_SCHEMA = set "schema_to_xml schema_to_xml_and_xmlschema"
builtins.READ_ALL = set "database_to_xml database_to_xml_and_xmlschema"

--- STABLE functions that tell more than their arguments say. A cursor's query is another statement's.
local TELLING = set [[cursor_to_xml cursor_to_xmlschema pg_stat_get_activity pg_stat_get_backend_activity pg_cursor pg_prepared_statement
  pg_show_all_file_settings]]

--- VOLATILE functions that read and change no rows but those of the statement around them.
local HARMLESS = set [[random random_normal setseed clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 nextval currval lastval setval
  set_config current_query pg_notify pg_sleep pg_sleep_for pg_sleep_until txid_status pg_xact_status pg_database_size pg_indexes_size
  pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size pg_is_in_recovery pg_blocking_pids
  pg_safe_snapshot_blocking_pids pg_partition_tree pg_partition_ancestors pg_sequence_last_value pg_terminate_backend pg_cancel_backend
  pg_notification_queue_usage pg_xact_commit_timestamp pg_last_committed_xact pg_jit_available pg_stat_clear_snapshot pg_lock_status
  pg_collation_actual_version pg_database_collation_actual_version bernoulli system lo_create lo_creat lo_from_bytea lo_close
  pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
  pg_last_xact_replay_timestamp pg_export_snapshot pg_is_wal_replay_paused pg_nextoid pg_log_backend_memory_contexts]]
local HARMLESS_PREFIXES = { "^pg_advisory_", "^pg_try_advisory_", "^pg_stat_get_xact_", "^pg_stat_reset", "^pg_create_restore_point$" }

--- Relations of pg_catalog, and of an extension, whose rows hold what other sessions or other tenants' rows say.
builtins.VIEWS = set [[pg_stat_activity pg_stat_statements pg_stats pg_stats_ext pg_stats_ext_exprs pg_statistic pg_statistic_ext_data
  pg_largeobject pg_prepared_statements pg_cursors]]

--- Is nothing known of what it reaches, beyond its arguments?
---@param name string  of a function of pg_catalog
---@param volatile table<string, boolean>?
---@return boolean
function builtins.reaches_further(name, volatile)
  if TELLING[name] then return true end
  if HARMLESS[name] or not (volatile and volatile[name]) then return false end
  for _, prefix in ipairs(HARMLESS_PREFIXES) do
    if name:find(prefix) then return false end
  end
  return true
end

--- All that run SQL, or read tables that an argument names.
builtins.RUNNING = {}
for _, some in ipairs { builtins.RUN_TEXT, builtins.READ_TABLE, builtins.READ_SCHEMA, builtins.READ_ALL } do
  for name in pairs(some) do builtins.RUNNING[name] = true end
end

--- Does it run SQL, or read tables that an argument names?
---@param name string
---@return boolean
function builtins.runs(name) return builtins.RUNNING[name] == true end

--- Does a text name one of them, or what of an extension does the like? Read without a parser.
---@param text string  in lower case
---@param leads rls.Leads?
---@return boolean
function builtins.named_in(text, leads)
  if text:find('u&"', 1, true) then return true end
  for name in text:gmatch '([%a_][%w_]*)"?%s*%(' do
    if builtins.runs(name) or builtins.reaches_further(name, leads and leads.volatile) then return true end
    if leads and leads.foreign[name] then return true end
  end
  for name in text:gmatch "%f[%w_]pg_[%w_]+" do
    if builtins.VIEWS[name] then return true end
  end
  return false
end

return builtins
