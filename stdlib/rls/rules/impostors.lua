--- SQL by which a session puts a type or a function of its own in the place of one that a helper of the policies means.
--
-- A temporary type is found before pg_catalog's; a function is, where the caller's search path puts a schema of its own first (PostgreSQL
-- manual, 20.11.1, search_path). What the helper then answers is what the counterexample needs it to.
local documents = require "rls.prover.documents"
local json = require "json"
local names = require "rls.names"

local impostors = {}

--- The start of the name of the setting by which the prover speaks of a helper's answer.
local ANSWER = "\1hijacked."

local DOCUMENTS = { json = true, jsonb = true }

--- What the document that a body reads has to be, so that each member that it reads is the answer; nil where it reads none.
local function document_of(body, answer)
  local out, some = {}, false
  local path
  for arrow, key in body:gmatch "%-(>>?)%s*'([^']+)'" do
    path = documents.join(path, key)
    if arrow == ">>" then
      documents.set(out, path, answer)
      path, some = nil, true
    end
  end
  for keys in body:gmatch "#>>%s*'{([^}]+)}'" do
    local at
    for key in keys:gmatch "[^,%s]+" do at = documents.join(at, key) end
    documents.set(out, at, answer)
    some = true
  end
  return some and json.encode(out) or nil
end

--- A temporary type that turns into a value of the type whose name it has.
local TYPE = { "CREATE TYPE pg_temp.{type} AS ENUM ('any');",
  "CREATE FUNCTION pg_temp.of_text(text) RETURNS pg_temp.{type} LANGUAGE sql AS $$ SELECT 'any'::pg_temp.{type} $$;",
  "CREATE FUNCTION pg_temp.to_value(pg_temp.{type}) RETURNS pg_catalog.{type} LANGUAGE sql AS $$ SELECT {value}::pg_catalog.{type} $$;",
  "CREATE CAST (text AS pg_temp.{type}) WITH FUNCTION pg_temp.of_text(text);",
  "CREATE CAST (pg_temp.{type} AS pg_catalog.{type}) WITH FUNCTION pg_temp.to_value(pg_temp.{type}) AS IMPLICIT;" }

--- Functions of its own for all of pg_catalog's of that name.
local FUNCTION = { [[
DO $do$
DECLARE f record;
BEGIN
  FOR f IN SELECT pg_get_function_identity_arguments(oid) AS args, format_type(prorettype, NULL) AS gives FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = {name} AND prokind = 'f' LOOP
    EXECUTE format('CREATE FUNCTION {schema}.%I(%s) RETURNS %s LANGUAGE sql AS %L', {name}, f.args, f.gives,
      format('SELECT %L::%s', {value}, f.gives));
  END LOOP;
END $do$;]], "SET LOCAL search_path = {schema}, pg_catalog;" }

local function filled(list, values)
  local out = {}
  for i, sql in ipairs(list) do out[i] = sql:gsub("{(%a+)}", values) end
  return out
end

--- What is to be run as the attacker; nil where none is known.
---@param f prover.Function       the helper
---@param label string            its name
---@param hijacked {what: string, temporary: boolean?}  of rls.decide
---@param settings table<string, string>  of the counterexample
---@param creates string[]        schemas in which the role may make functions
---@return string[]?
function impostors.statements(f, label, hijacked, settings, creates)
  local kind, name = hijacked.what:match "^(%a+) ([%w_]+)$"
  local answer = settings[ANSWER .. label]
  if not name or answer == nil then return nil end
  local document = document_of(f.body or "", answer)
  if kind == "type" and hijacked.temporary then
    local value = DOCUMENTS[name] and document or answer
    return filled(TYPE, { type = names.ident(name), value = names.literal(value) })
  elseif kind == "function" then
    local schema = creates[1] and names.ident(creates[1]) or "gate_own"
    local out = filled(FUNCTION, { name = names.literal(name), schema = schema, value = names.literal(document or answer) })
    if not creates[1] then table.insert(out, 1, "CREATE SCHEMA gate_own;") end
    return out
  end
  return nil
end

return impostors
