-- Gate 1 on tables that hold rows, with a leak of each kind: nothing that it writes down holds a value of a row. What would show one is
-- what the server says: messages that quote what could not be converted, that triggers and functions make of rows, details of constraints.
package.path = "tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local pg = require "pg"
local support = require "support"

--- Words and numbers of the rows, none of which stands in the schema. The tenants' own ids among them.
local MARKS = { "zaphod", "47114711", "4711%-4711", "1847%-11", "4711[ ,.:]?11", "DE89", "beeblebrox", "trillian", "8711%-4711", "47:11:47",
  "47%.11%.47" }

local T1, T2 = "47114711-4711-4711-8711-471147114711", "47114711-4711-4711-8711-471147114712"

local SCHEMA = [[
  create type address as (street text, zip int);
  create table orgs (id uuid primary key, name text not null unique);
  create table every_type (id bigint generated always as identity primary key, tenant_id uuid not null references orgs, t text,
    v varchar(40), c char(12), n int, b bigint unique, f float8, d numeric, at timestamptz, day date, during interval, raw bytea, j json,
    jb jsonb, ts tsvector, list text[], net inet, mac macaddr, x xml, place point, span int4range, who address, u uuid);
  create table open_table (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null,
    code text not null, unique (tenant_id, code), check (length(email) < 60), constraint real_codes check (code <> 'x' or email is null));
  create table locked (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
  create function refuse() returns trigger language plpgsql as $$ begin
    raise exception 'the customer % may not be changed', old.email using detail = old.email, hint = old.email; end $$;
  create trigger refuse before update or delete on locked for each row execute function refuse();
  create table noisy (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
  create function tell() returns trigger language plpgsql as $$ begin
    raise notice 'seen %', old.email; raise warning 'seen %', old.email; return coalesce(new, old); end $$;
  create trigger tell before update or delete on noisy for each row execute function tell();
  create table cast_policy (id bigint generated always as identity primary key, tenant_id uuid not null, note text);
  create table told_policy (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
  create function judged(email text) returns boolean language plpgsql as $$ begin
    if email like 'gate%' then return true; end if; raise exception 'who is %?', email; end $$;
  create table parents (id bigint primary key, tenant_id uuid not null, email text);
  create table children (id bigint generated always as identity primary key, tenant_id uuid not null, parent bigint references parents);
  create table escaped (id bigint generated always as identity primary key, tenant_id uuid not null, email text unique);
  create table nobodys (id bigint generated always as identity primary key, tenant_id uuid, email text);
  create table copies (email text);
  create function copy() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$ begin
    insert into public.copies values (new.email); return new; end $$;
  create trigger copy after insert or update on escaped for each row execute function copy();
  {protect}
  create policy all_rows on every_type using (true) with check (true);
  create policy all_rows on locked using (true);
  create policy all_rows on noisy using (true);
  create policy casts on cast_policy for select using (note::int > 0);
  create policy tells on told_policy for select using (judged(email));
  create policy escape on escaped using (current_setting('app.admin', true) = 'on');
  create policy of_nobody on nobodys using (tenant_id is null);
  create policy blind on parents for delete using (true);
  create view shown as select * from every_type;
  create view numbers as select id, tenant_id, note::int as n from cast_policy;
  create materialized view counted as select email from open_table;
  create function found(p text) returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select email from public.open_table where email like p $$;
  create function undecided(p text) returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$ begin return query execute 'select email from public.open_table'; end $$;
  create function raising(p text) returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$ declare e text; begin
      execute 'select string_agg(email, '','') from public.locked' into e; raise exception 'found %', e; end $$;
  grant select, insert, update, delete, truncate, references, trigger on all tables in schema public to shop;
  grant usage, select on all sequences in schema public to shop;
  insert into orgs values ('{t1}', 'zaphod and sons'), ('{t2}', 'trillian ltd');
  insert into every_type (tenant_id, t, v, c, n, b, f, d, at, day, during, raw, j, jb, ts, list, net, mac, x, place, span, who, u)
    values {typed};
  insert into open_table (tenant_id, email, code) select t, 'zaphod' || i || '@beeblebrox.example', 'DE89' || i
    from unnest(array['{t1}', '{t2}']::uuid[]) with ordinality u(t, i);
  insert into locked (tenant_id, email) select tenant_id, email from open_table;
  insert into noisy (tenant_id, email) select tenant_id, email from open_table;
  insert into cast_policy (tenant_id, note) select tenant_id, email from open_table;
  insert into told_policy (tenant_id, email) select tenant_id, email from open_table;
  insert into parents select id + 47114711, tenant_id, email from open_table;
  insert into children (tenant_id, parent) select tenant_id, id from parents;
  insert into escaped (tenant_id, email) select tenant_id, email from open_table;
  insert into nobodys (tenant_id, email) select null, email from open_table;
  select lo_from_bytea(0, 'zaphod');
  analyze;
]]

--- A row of every type.
local TYPED = [[('%s', 'zaphod%d', 'beeblebrox%d', 'zaphod%d', 471147114, 47114711471%d, 47114711.5, 47114711.4711, '1847-11-04 04:07',
  '1847-11-05', '4711 11:47:11', '\x47114711', '{"iban": "DE8947114711"}', '{"iban": "DE8947114711"}', 'zaphod', '{zaphod,trillian}',
  '47.11.47.11', '47:11:47:11:47:11', '<a>zaphod</a>', '(4711.11,4711.11)', '[47114711,47114712)', '(zaphod street,47114)',
  '47114711-4711-4711-8711-471147114711')]]

local PROTECT = [[alter table %s enable row level security; alter table %s force row level security;
  create policy own on %s using (tenant_id::text = current_setting('app.tenant', true));]]

describe("what gate 1 writes down", function()
  local server

  setup(function()
    server = pg.start()
    local conn <close> = db.connect(server:options())
    local protect = {}
    for i, name in ipairs { "every_type", "locked", "noisy", "cast_policy", "told_policy", "parents", "children", "escaped",
      "nobodys" } do
      protect[i] = PROTECT:gsub("%%s", name)
    end
    conn:script "create role shop login"
    conn:script((SCHEMA:gsub("{(%w+)}", { protect = table.concat(protect, "\n"), t1 = T1, t2 = T2,
      typed = TYPED:format(T1, 1, 1, 1, 1) .. ", " .. TYPED:format(T2, 2, 2, 2, 2) })))
  end)
  teardown(function() server:stop() end)

  local FORMATS = { "json", "junit", "sarif", "markdown", "tap", "html", "github" }

  --- Runs the gate with all that it can write; by name what it wrote.
  local function everything(verb, ...)
    local function url(user) return ("postgresql://%s@/postgres?host=%s&port=%d"):format(user, server.host, server.port) end
    local dir, out = support.tmpdir(), {}
    local config = support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      evidence = { ledger = %q }, database = { admin = { url = %q }, app = { url = %q }, operator = { url = %q },
      tenant = { column = "tenant_id", setting = "app.tenant", table = "public.orgs", key = "id" } } }]]):format(dir .. "/ledger.jsonl",
      url "postgres", url "shop", url "postgres"))
    local argv = { verb, "gates/rls_harness.lua", "--tenant", "acme", "--config", config, "--trace", "--verbose", ... }
    for _, format in ipairs(FORMATS) do
      argv[#argv + 1] = "--report"
      argv[#argv + 1] = format .. "=" .. dir .. "/report." .. format
    end
    local result = support.run { argv = argv }
    out["standard output"], out["standard error"] = result.stdout, result.stderr
    local files = io.popen(("find %s -type f ! -name '*.conf.lua'"):format(dir))
    for path in files:lines() do out[path:sub(#dir + 2)] = support.must_read(path) end
    files:close()
    return out, result, dir
  end

  local function holds_no_row(out)
    local found = {}
    for name, text in pairs(out) do
      for line in text:gmatch "[^\n]+" do
        for _, mark in ipairs(MARKS) do
          local at = line:find(mark)
          if at then
            found[#found + 1] = ("%s: %s: …%s…"):format(name, mark, line:sub(math.max(1, at - 160), at + 80))
            break
          end
        end
      end
    end
    assert.equal("", table.concat(found, "\n", 1, math.min(#found, 30)))
  end

  for _, mode in ipairs { "full", "read" } do
    it("holds no value of a row, with --probe " .. mode, function()
      local out, result = everything("run", "--only", "coverage,isolation", "--probe", mode)
      assert.equal(1, result.code, result.stdout .. result.stderr)
      for _, format in ipairs(FORMATS) do assert.truthy(#out["report." .. format] > 500, format) end
      for _, object in ipairs { "every_type", "open_table", "locked", "noisy", "escaped", "nobodys", "shown", "counted", "found",
        "copies" } do
        assert.truthy(out["report.json"]:find("public." .. object, 1, true), object)
      end
      holds_no_row(out)
    end)
  end

  it("holds no value of a row in what the recovery proposes", function()
    local out = everything("recover", "--only", "coverage,isolation", "--artifacts", support.tmpdir())
    holds_no_row(out)
  end)
end)
