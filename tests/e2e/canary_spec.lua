-- Gate 1's canaries on schemas for which a row is hard to invent, and sessions that state their tenant in other ways than one setting.
package.path = "tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local pg = require "pg"
local support = require "support"

--- Enables, forces and binds tables: {"name", …} with the column tenant_id.
local function protect(...)
  local out = {}
  for i, name in ipairs { ... } do
    out[i] = ("alter table %s enable row level security; alter table %s force row level security; create policy tenant on %s "
      .. "using (tenant_id::text = current_setting('app.tenant', true)); grant select, insert, update, delete on %s to shop;")
      :format(name, name, name, name)
  end
  return table.concat(out, "\n")
end

--- Digest of every table's rows, in the order of the rows.
local DIGEST = [[select md5(string_agg(format('%s %s', c.oid::regclass, (xpath('/row/d/text()', query_to_xml(
    format('select md5(coalesce(string_agg(x::text, chr(10) order by x::text), %L)) as d from %s x', '', c.oid::regclass),
    false, true, '')))[1]), chr(10) order by c.oid))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'public']]

describe("gate 1's canaries", function()
  local server, count, as = nil, 0, "postgres"

  setup(function()
    server = pg.start()
    local conn = db.connect(server:options())
    conn:script "create role shop login; create role keeper login; revoke create on schema public from public"
    conn:close()
  end)
  teardown(function() server:stop() end)

  --- Runs the gate on a new database with this schema; its digest must be the same afterwards.
  local function run(sql, tenant, more, ...)
    count = count + 1
    local name = "canary" .. count
    local admin = db.connect(server:options())
    admin:script("create database " .. name)
    admin:close()
    local conn = db.connect(server:options { dbname = name })
    finally(function() conn:close() end)
    conn:script(sql)
    local before = conn:value(DIGEST)
    local function url(user) return ("postgresql://%s@/%s?host=%s&port=%d"):format(user, name, server.host, server.port) end
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      admin = { url = %q }, app = { url = %q }, tenant = %s, %s } }]]):format(url(as), url "shop",
      tenant or '{ column = "tenant_id", setting = "app.tenant" }', more or ""))
    local result = support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--config", config,
      "--only", "coverage,isolation", ... } }
    assert.equal(before, conn:value(DIGEST))
    return result
  end

  local function passes(...)
    local result = run(...)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result
  end

  local SCHEMAS = {
    ["integer keys that collide with rows that are there"] = [[
      create table items (id int primary key, tenant_id int not null, code smallint not null unique);
      insert into items select i, i, i from generate_series(1, 300) i;]] .. protect "items",
    ["a serial key whose sequence is behind its rows"] = [[
      create table items (id serial primary key, tenant_id uuid not null);
      insert into items (id, tenant_id) select i, gen_random_uuid() from generate_series(1, 50) i;
      grant usage on all sequences in schema public to shop;]] .. protect "items",
    ["checks over several columns, a range, an expression"] = [[
      create table spans (id bigint generated always as identity primary key, tenant_id uuid not null, low int not null,
        high int not null, until date not null, since date not null, rate numeric(4, 3) not null check (rate > 0 and rate < 1),
        check (low < high and low % 7 = 3), check (until > since), check (since >= date '2020-02-01'));]] .. protect "spans",
    ["regular expressions"] = [[
      create domain phone as text check (value ~ '^\+[1-9]\d{6,14}$');
      create table contacts (tenant_id uuid not null, phone phone not null, plate varchar(11) not null
        check (plate ~ '^[A-ZÄ]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}$'), zip char(5) not null check (zip ~ '^(0[1-9]|[1-9]\d)\d{3}$'),
        mail text not null check (mail ~* '^[^@\s]+@[^@\s]+\.[a-z]{2,}$'));]] .. protect "contacts",
    ["composite keys in a circle, one of them deferrable"] = [[
      create table teams (tenant_id uuid not null, no int not null, lead int not null, primary key (tenant_id, no));
      create table people (tenant_id uuid not null, no int not null, team int not null, primary key (tenant_id, no),
        foreign key (tenant_id, team) references teams);
      alter table teams add foreign key (tenant_id, lead) references people deferrable;]] .. protect("teams", "people"),
    ["a row that must refer to a row of its own table"] = [[
      create table nodes (id uuid primary key, tenant_id uuid not null, parent uuid not null references nodes);]] .. protect "nodes",
    ["an exclusion constraint"] = [[
      create table bookings (id bigint generated by default as identity primary key, tenant_id uuid not null, during daterange not null,
        exclude using gist (during with &&));]] .. protect "bookings",
    ["hash partitions by the tenant, each with policies of its own"] = [[
      create table events (tenant_id uuid not null, what text not null) partition by hash (tenant_id);
      create table events_0 partition of events for values with (modulus 3, remainder 0);
      create table events_1 partition of events for values with (modulus 3, remainder 1);
      create table events_2 partition of events for values with (modulus 3, remainder 2);]]
      .. protect("events", "events_0", "events_1", "events_2"),
    ["ranges of ranges, with policies of their own"] = [[
      create table logs (tenant_id uuid not null, at timestamptz not null, level int not null) partition by range (at);
      create table logs_24 partition of logs for values from ('2024-01-01') to ('2025-01-01') partition by range (level);
      create table logs_24_high partition of logs_24 for values from (5) to (9);]] .. protect("logs", "logs_24", "logs_24_high"),
    ["a trigger that takes the tenant from the setting"] = [[
      create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
      create function own() returns trigger language plpgsql as $$ begin
        new.tenant_id := current_setting('app.tenant')::uuid; return new; end $$;
      create trigger own before insert on notes for each row execute function own();]] .. protect "notes",
    ["a tenant column of a domain with a form"] = [[
      create domain slug as text check (value ~ '^[a-z][a-z0-9]{2,9}$');
      create table pages (tenant_id slug not null, path text not null, primary key (tenant_id, path));]] .. protect "pages",
    ["types of all kinds"] = [[
      create type mood as enum ('sad', 'glad'); create type pair as (x int, y int);
      create table odd (tenant_id uuid not null, a inet not null, b cidr not null, c macaddr not null, d interval not null, e mood not null,
        f mood[] not null, g int4range not null, h tsvector not null, i xml not null, j bytea not null, k timetz not null, l money not null,
        m point not null, n jsonb not null check (n ? 'name' and jsonb_typeof(n) = 'object'), o bit(1) not null,
        p text[] not null check (array_length(p, 1) > 0), q date not null default 'today', r name not null);]] .. protect "odd",
    ["a rule that turns a statement into nothing"] = [[
      create table kept (id bigint generated always as identity primary key, tenant_id uuid not null);
      create rule keep as on delete to kept do instead nothing;]] .. protect "kept",
  }
  for title, sql in pairs(SCHEMAS) do
    it("are made on " .. title .. ", and leave nothing behind", function() passes(sql) end)
  end

  it("say what to add where none can be made", function()
    local sql = [[create table odd (id int primary key, tenant_id uuid not null, "Serial No" text not null
      check (md5("Serial No") like '0000%'));]] .. protect "odd"
    local result = run(sql)
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find([["insert into \"public\".\"odd\" (\"id\", \"tenant_id\", \"Serial No\") values (…, {tenant}, …)"]], 1,
      true), result.stdout)
  end)

  it("are made without triggers where one refuses them, by a superuser, and else name what it looks at", function()
    local sql = [[create table odd (id int primary key, tenant_id uuid not null, "Serial No" text, note text);
      create function refuse() returns trigger language plpgsql as $$ begin
        if new."Serial No" is null or md5(new."Serial No") not like '00%' then raise exception 'no such serial number'; end if;
        return new; end $$;
      create trigger refuse before insert or update on odd for each row execute function refuse();]] .. protect "odd"
    passes(sql)
    as = "keeper"
    local result = run(sql .. "alter table odd owner to keeper; grant shop to keeper; alter role keeper bypassrls;")
    as = "postgres"
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find([[\"odd\" (\"id\", \"tenant_id\", \"Serial No\") values (…, {tenant}, …)]], 1, true),
      result.stdout)
  end)

  --- A policy that no proof decides: a temporary type may take the place of the one which the function names.
  local function by_function(...)
    local protected = protect(...):gsub("tenant_id::text = current_setting%('app.tenant', true%)", "tenant_id = tenant()")
    return "create function tenant() returns uuid language sql stable as "
      .. "$$ select nullif(current_setting('app.tenant', true), '')::pg_catalog.uuid $$;" .. protected
  end

  it("that cannot be made for one table take no other table's verdict away", function()
    local result = run([[create table odd (id serial primary key, tenant_id uuid not null, serial_no text not null
        check (md5(serial_no) like '0000%'));
      create table plain (id serial primary key, tenant_id uuid not null, body text not null);]] .. by_function("odd", "plain")
      .. "grant usage on all sequences in schema public to shop;")
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find("no canary row could be inserted into public.odd", 1, true), result.stdout)
    assert.falsy(result.stdout:find("public.plain could not be probed", 1, true), result.stdout)
  end)

  it("that no policy shows without a row elsewhere: the error names the table whose row it is", function()
    local result = run([[create table seats (tenant_id uuid not null, login uuid not null, grade text not null default 'x');
      create table offices (id serial primary key, tenant_id uuid not null, body text not null);
      grant select, insert, update, delete on seats, offices to shop; grant usage on all sequences in schema public to shop;
      create function seated(t uuid) returns boolean language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
        begin return exists (select from public.seats s where s.tenant_id = t and s.grade = 'boss'
          and s.login::text = current_setting('app.tenant', true)); end $$;
      do $$ declare t text; begin foreach t in array array['seats', 'offices'] loop
        execute format('alter table %1$s enable row level security; create policy p on %1$s using (tenant_id::text =
          current_setting(''app.tenant'', true) and seated(tenant_id))', t); end loop; end $$;]])
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find("the policies ask for a row of public.seats: give it a statement in database.fixtures", 1, true),
      result.stdout)
  end)

  local AUDITED = [[create table notes (id serial primary key, tenant_id uuid not null, body text not null);
      create table plain (id serial primary key, tenant_id uuid not null, body text not null);
      create table log (id serial primary key, tenant_id uuid not null, what text not null);
      create function note() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$ begin
        insert into log (tenant_id, what) values (new.tenant_id, 'note'); return new; end $$;
      create trigger note after insert on notes for each row execute function note();
      alter table notes owner to keeper; alter table plain owner to keeper; alter table log owner to keeper;
      alter function note() owner to keeper; grant usage on all sequences in schema public to shop, keeper;]]
    .. by_function("notes", "plain") .. protect "log"

  it("are made without triggers for what shows without a tenant, where a trigger wants one set", function()
    passes(AUDITED)
    local result = run(AUDITED .. "drop policy tenant on notes; "
      .. "create policy tenant on notes using (tenant() is null or tenant_id = tenant());")
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find("public.notes: rows are visible with the tenant setting absent", 1, true)
      or result.stdout:find("public.notes: SELECT", 1, true), result.stdout)
  end)

  it("are told of without any row, whatever a function raises or a value's form is", function()
    as = "keeper" -- for whom triggers are in force
    local result = run([[create table people (id serial primary key, tenant_id uuid not null, name text not null);
      insert into people (tenant_id, name) values ('00000000-0000-4000-8000-000000000001', 'Secret-Person');
      create table seats (id serial primary key, tenant_id uuid not null, name text not null);
      create function tell() returns trigger language plpgsql as $$ begin
        raise exception 'seats are held by %', (select name from people limit 1) using detail = 'Secret-Detail'; end $$;
      create trigger tell before insert on seats for each row execute function tell();
      create table beds (id serial primary key, tenant_id uuid not null, no int not null);
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no bed has this number'; end $$;
      create trigger refuse before insert on beds for each row execute function refuse();
      create view numbers with (security_barrier) as select tenant_id, name::int as n from people;]] .. protect("people", "seats", "beds")
      .. "grant select on numbers to shop, keeper; grant usage on all sequences in schema public to shop; "
      .. "alter table people owner to keeper; alter table seats owner to keeper; alter table beds owner to keeper; "
      .. "grant shop to keeper; alter role keeper bypassrls;",
      nil, nil, "--verbose")
    as = "postgres"
    assert.equal(1, result.code, result.stdout)
    assert.falsy((result.stdout .. result.stderr):find "Secret")
    for _, text in ipairs { "SQLSTATE P0001, raised by tell() (its words may hold rows", "no bed has this number",
      "invalid input syntax for type integer: …" } do
      assert.truthy(result.stdout:find(text, 1, true), text .. " in " .. result.stdout)
    end
  end)

  it("are not tried with a setting that the platform alone sets, as trust says while it holds", function()
    local sql = "create table notes (id serial primary key, tenant_id uuid not null, body text not null);" .. by_function "notes"
      .. "drop policy tenant on notes; create policy tenant on notes using (tenant_id = tenant() "
      .. "or current_setting('app.support', true) = 'on'); grant usage on all sequences in schema public to shop;"
    local trust = [[ }, trust = { { setting = "app.support", reason = "the support tool alone sets it", approver = "cto", expires = %q } ]]
    passes(sql, nil, trust:format "2999-01-01")
    local result = run(sql, nil, trust:format "2020-01-01")
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find("app.support", 1, true), result.stdout)
  end)

  it("are probed where row_security is off by default", function()
    passes("create table plain (id serial primary key, tenant_id uuid not null, body text not null);" .. by_function "plain"
      .. "grant usage on all sequences in schema public to shop; do $$ begin "
      .. "execute format('alter database %I set row_security = off', current_database()); end $$")
  end)

  it("that a trigger keeps waiting take no other table's verdict away, nor the whole of the run's time", function()
    local result = run("create table plain (id serial primary key, tenant_id uuid not null, body text not null);"
      .. "create table slow (id serial primary key, tenant_id uuid not null, body text not null);" .. by_function("plain", "slow")
      .. "grant usage on all sequences in schema public to shop; create function wait() returns trigger language plpgsql as "
      .. "$$ begin perform pg_sleep(3600); return new; end $$; create trigger wait before insert on slow for each row "
      .. "execute function wait();", nil, nil, "--timeout", "150")
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find("no canary row could be inserted into public.slow: canceling statement due to statement timeout", 1,
      true), result.stdout)
    assert.falsy(result.stdout:find("public.plain could not be probed", 1, true), result.stdout)
  end)

  it("come from a fixture, after the rows that its foreign keys lead to", function()
    local fixtures = [[fixtures = { ["public.users"] = "insert into users values ({tenant}, {tenant})",
      ["public.seats"] = "insert into seats values ({tenant}, {tenant})" }]]
    passes([[create table orgs (tenant_id uuid primary key);
      create table users (id uuid primary key, tenant_id uuid not null references orgs);
      create table seats (tenant_id uuid not null, user_id uuid not null references users, primary key (tenant_id, user_id));]]
      .. protect("orgs", "users", "seats"), nil, fixtures)
  end)

  local CLAIMS = [[{ column = "tenant_id", setting = "request.claims", value = '{"role": "member", "org": "{id}"}',
    context = { ["app.kind"] = "human", ["app.user"] = "{id}" } }]]
  local BY_CLAIM = [[create table docs (id bigint generated always as identity primary key, tenant_id uuid not null);
    alter table docs enable row level security; alter table docs force row level security; grant select, insert, update on docs to shop;
    create policy tenant on docs using (tenant_id = (nullif(current_setting('request.claims', true), '')::json ->> 'org')::uuid
      and current_setting('app.kind', true) = 'human' and current_setting('app.user', true) = tenant_id::text);]]

  it("are seen by sessions of a value's form and a context", function() passes(BY_CLAIM, CLAIMS) end)

  it("show what another member of the tenant's document opens, in a text to paste", function()
    local result = run(BY_CLAIM .. [[create policy staff on docs for select using
      (nullif(current_setting('request.claims', true), '')::json ->> 'role' = 'staff')]], CLAIMS)
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find(
      'request.claims = \'{"org":"a0000000-0000-4000-8000-00000000000a","role":"staff"}\'', 1, true), result.stdout)
  end)

  local AXES = [[{ { column = "org_id", setting = "app.org", context = { ["app.scope"] = "org" } },
    { column = "partner_id", setting = "app.partner", context = { ["app.scope"] = "partner" } } }]]
  local function two_axes(partner)
    return ([[create table partners (partner_id uuid primary key);
      create table orgs (org_id uuid primary key, partner_id uuid not null references partners);
      create table invoices (id bigint generated always as identity primary key, org_id uuid not null references orgs);
      create function is_org(o uuid) returns boolean language sql stable as
        $$ select current_setting('app.scope', true) = 'org' and o::pg_catalog.text = current_setting('app.org', true) $$;
      create function is_partner(p uuid) returns boolean language sql stable as
        $$ select current_setting('app.scope', true) = 'partner' and %s $$;
      alter table partners enable row level security; alter table orgs enable row level security;
      alter table invoices enable row level security; alter table partners force row level security;
      alter table orgs force row level security; alter table invoices force row level security;
      create policy p on partners using (is_partner(partner_id));
      create policy o on orgs using (is_org(org_id) or is_partner(partner_id));
      create policy i on invoices using (is_org(org_id));
      grant select, update on partners, orgs to shop; grant select, insert, update, delete on invoices to shop;]]):format(partner)
  end

  it("are made for each axis, and tables belong to the axes whose columns they have", function()
    passes(two_axes "p::pg_catalog.text = current_setting('app.partner', true)", AXES)
  end)

  it("belong to both axes where a policy asks for both, as context and fixture say", function()
    passes([[create table orgs (id bigint primary key); create table partners (id bigint primary key);
      create table sales (id bigserial primary key, org_id bigint not null references orgs, partner_id bigint not null references partners);
      alter table sales enable row level security; alter table sales force row level security;
      create policy axes on sales using (org_id::text = any (string_to_array(current_setting('app.orgs', true), ','))
        and partner_id::text = current_setting('app.partner', true));
      grant select on orgs, partners to shop; grant select, insert, update, delete on sales to shop;
      grant usage on all sequences in schema public to shop;]],
      [[{ { column = "org_id", setting = "app.orgs", value = "{id},7", context = { ["app.partner"] = "{id}" } },
        { column = "partner_id", setting = "app.partner", context = { ["app.orgs"] = "{id},7" } } }]],
      [[shared = { "public.orgs", "public.partners" }, fixtures = { ["public.orgs"] = "insert into orgs values ({tenant})",
        ["public.partners"] = "insert into partners values ({tenant})",
        ["public.sales"] = "insert into sales (org_id, partner_id) values ({tenant}, {tenant})" }]])
  end)

  it("show a leak of the second axis", function()
    local result = run(two_axes "p is not null", AXES)
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find("public.partners: SELECT, UPDATE: another tenant's row passes", 1, true), result.stdout)
    assert.is_nil(result.stdout:find("public.invoices", 1, true), result.stdout)
  end)

  it("are gone when the gate is killed in the middle of one", function()
    local admin = db.connect(server:options())
    admin:script "create database killed"
    admin:close()
    local conn <close> = db.connect(server:options { dbname = "killed" })
    conn:script("create table items (id int primary key, tenant_id uuid not null); insert into items values (1, gen_random_uuid());"
      .. "create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_lock(77); return new; end $$;"
      .. "create trigger wait after insert on items for each row execute function wait();" .. protect "items")
    local before = conn:value(DIGEST)
    conn:exec "select pg_advisory_lock(77)"
    local function url(user) return ("postgresql://%s@/killed?host=%s&port=%d"):format(user, server.host, server.port) end
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      admin = { url = %q }, app = { url = %q }, tenant = { column = "tenant_id", setting = "app.tenant" } } }]]):format(url "postgres",
      url "shop"))
    -- It waits for the lock with its first canary inserted; then all its processes are killed.
    local psql = ("psql -X -q -A -t -h %s -p %d -U postgres killed -c "):format(server.host, server.port)
    support.shell(([[setsid %s run gates/rls_harness.lua --tenant acme --config %s --only isolation >/dev/null 2>&1 & pid=$!
      until [ "$(%s "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = 'killed'")" = 1 ]
      do kill -0 $pid || exit 1; done
      kill -9 -$pid; wait $pid; [ $? = 137 ] ]]):format(support.quote(support.engine), support.quote(config), psql))
    -- The server sees that its client is gone, without the lock: within five seconds.
    conn:script [[do $$ begin
        while exists (select from pg_stat_activity where datname = 'killed' and pid <> pg_backend_pid()) loop
          if clock_timestamp() > now() + interval '5 seconds' then raise exception 'a session of the gate is left'; end if;
          perform pg_sleep(0.02), pg_stat_clear_snapshot();
        end loop;
      end $$]]
    assert.equal(before, conn:value(DIGEST))
  end)

  it("tell which sequences they leave advanced", function()
    local result = run([[create table items (id bigserial primary key, tenant_id uuid not null);
      grant usage on all sequences in schema public to shop;]] .. protect "items", nil, nil, "--verbose")
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stderr:find("these sequences stay advanced: public.items_id_seq", 1, true), result.stderr)
  end)

  it("are probed in batches, and see as much", function()
    local sql = {}
    for i = 1, 7 do sql[i] = ("create table t%d (id uuid primary key, tenant_id uuid not null);"):format(i) .. protect("t" .. i) end
    sql[8] = "create policy open on t5 for delete using (true)"
    local result = run(table.concat(sql, "\n"), nil, "probe = { batch = 2 }")
    assert.equal(1, result.code, result.stdout)
    assert.truthy(result.stdout:find("public.t5: DELETE: another tenant's row passes", 1, true), result.stdout)
    assert.is_nil(result.stdout:find("public.t4", 1, true), result.stdout)
  end)
end)
