--- Schemas that gate 1 is measured on, as SQL.
local schema = {}

local A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
schema.A, schema.B = A, B

local OWN = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"

--- What is wrong with table i: nothing with every other one.
local function policies(i)
  local t = "t" .. i
  local function all(using) return ("create policy tenant on %s using (%s);"):format(t, using) end
  local defect = i % 2 == 0 and (i // 2) % 4 or nil
  if defect == 0 then return "" end -- row-level security is off
  local on = ("alter table %s enable row level security; alter table %s force row level security;"):format(t, t)
  if defect == 1 then return on .. all "true" end
  if defect == 2 then return on .. all(OWN) .. ("create policy support on %s for select using (true);"):format(t) end
  if defect == 3 then
    return on .. ("create policy r on T for select using (OWN); create policy w on T for insert with check (true);"
      .. "create policy u on T for update using (OWN) with check (true); create policy d on T for delete using (OWN);")
      :gsub("OWN", (OWN:gsub("%%", "%%%%"))):gsub("T%f[%A]", t)
  end
  return on .. all(OWN)
end

--- n tenants' tables, half of them defective, with rows of neither tenant.
---@param n integer
---@return string[] sql  to be run one by one: a transaction with all of them would take too many locks
function schema.plain(n)
  local out = { "create role app_user login; grant usage on schema public to app_user;" }
  for i = 1, n do
    out[#out + 1] = ("create table t%d (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);"
      .. "create index on t%d (tenant_id); grant select, insert, update, delete on t%d to app_user; %s"):format(i, i, i, policies(i))
  end
  return out
end

--- The statements a person would write by hand: as tenant A, read, add, take and drop rows of B in each table.
local STATEMENTS = {
  "select 1 from t%d where tenant_id = '" .. B .. "'",
  "insert into t%d (tenant_id, name) values ('" .. B .. "', 'x')",
  "update t%d set name = 'y' where tenant_id = '" .. B .. "'",
  "delete from t%d where tenant_id = '" .. B .. "'",
}

--- One DO block that runs the statement list, each in a subtransaction, canaries included: the server's own limit.
---@param n integer
---@return string sql
function schema.block(n)
  local out = { "begin;" }
  out[#out + 1] = ([[do $$ begin for i in 1..%d loop
    execute format('insert into t%%s (tenant_id, name) values (%%L, ''c'')', i, '%s');
    execute format('insert into t%%s (tenant_id, name) values (%%L, ''c'')', i, '%s');
  end loop; end $$;]]):format(n, A, B)
  out[#out + 1] = "set local session authorization app_user; select set_config('app.tenant_id', '" .. A .. "', true);"
  local list = {}
  for _, s in ipairs(STATEMENTS) do list[#list + 1] = "$s$" .. s:gsub("%%d", "%%s") .. "$s$" end
  out[#out + 1] = ([[do $$ declare s text; found bigint := 0; n bigint; begin for i in 1..%d loop
    foreach s in array array[%s] loop
      begin
        execute format(s, i);
        get diagnostics n = row_count;
        raise exception using errcode = 'P0999', message = n::text;
      exception when sqlstate 'P0999' then found := found + sqlerrm::bigint;
        when insufficient_privilege then null;
      end;
    end loop; end loop; raise notice 'reached %%', found; end $$;]]):format(n, table.concat(list, ", "))
  out[#out + 1] = "rollback;"
  return table.concat(out, "\n")
end

--- A pgTAP suite that asserts the same, with the canaries it needs.
---@param n integer
---@return string sql
function schema.pgtap(n)
  local out = { "begin;", ("select plan(%d);"):format(4 * n) }
  for i = 1, n do
    out[#out + 1] = ("insert into t%d (tenant_id, name) values ('%s', 'c'), ('%s', 'c');"):format(i, A, B)
  end
  out[#out + 1] = "set local session authorization app_user; select set_config('app.tenant_id', '" .. A .. "', true);"
  for i = 1, n do
    out[#out + 1] = ("select is_empty($s$%s$s$, 't%d read');"):format(STATEMENTS[1]:format(i), i)
    out[#out + 1] = ("select throws_ok($s$%s$s$, '42501', null, 't%d insert');"):format(STATEMENTS[2]:format(i), i)
    out[#out + 1] = ("select is_empty($s$%s returning 1$s$, 't%d update');"):format(STATEMENTS[3]:format(i), i)
    out[#out + 1] = ("select is_empty($s$%s returning 1$s$, 't%d delete');"):format(STATEMENTS[4]:format(i), i)
  end
  out[#out + 1] = "select * from finish(); rollback;"
  return table.concat(out, "\n")
end

--- A schema as real teams have it: 400 tables, 1,310 policies on helper functions, a list-valued setting, two axes, some mistakes.
---@return string[] sql, integer policies
function schema.team()
  local out = { [[
create role app_user login; create schema app; grant usage on schema public, app to app_user;
create table orgs (org_id uuid primary key, name text not null);
create table partners (partner_id uuid primary key, name text not null);
create function app.current_org() returns uuid language sql stable as
  $$ select nullif(current_setting('app.org_id', true), '')::pg_catalog.uuid $$;
create function app.org_ids() returns uuid[] language sql stable as
  $$ select string_to_array(nullif(current_setting('app.org_ids', true), ''), ',')::pg_catalog.uuid[] $$;
create function app.has_org_access(org uuid) returns boolean language sql stable as
  $$ select org = app.current_org() or org = any (app.org_ids()) $$;
create function app.has_partner_access(partner uuid) returns boolean language sql stable as
  $$ select partner = nullif(current_setting('app.partner_id', true), '')::pg_catalog.uuid $$;
create function app.is_support() returns boolean language sql stable as
  $$ select coalesce(current_setting('app.support', true), '') = 'on' $$;
alter table orgs enable row level security; alter table orgs force row level security;
create policy own on orgs using (app.has_org_access(org_id));
alter table partners enable row level security; alter table partners force row level security;
create policy own on partners using (app.has_partner_access(partner_id));
grant select on orgs, partners to app_user;]] }
  local made = 2
  for i = 1, 398 do
    local partner = i % 5 == 0
    local t, column, has = "m" .. i, partner and "partner_id" or "org_id", partner and "app.has_partner_access" or "app.has_org_access"
    out[#out + 1] = ("create table %s (id uuid primary key default gen_random_uuid(), %s uuid not null references %s, name text not null);"
      .. "alter table %s enable row level security; alter table %s force row level security;"
      .. "grant select, insert, update, delete on %s to app_user;"):format(t, column, partner and "partners" or "orgs", t, t, t)
    local function policy(name, command, rest)
      made = made + 1
      out[#out + 1] = ("create policy %s on %s for %s %s;"):format(name, t, command, rest)
    end
    local own = ("%s(%s)"):format(has, column)
    policy("r", "select", ("using (%s)"):format(own))
    policy("w", "insert", ("with check (%s)"):format(i % 40 == 7 and "true" or own))
    policy("u", "update", ("using (%s)"):format(own))
    if i % 4 == 1 then policy("d", "delete", ("using (%s)"):format(own)) end
    if i % 30 == 11 then policy("support", "select", "using (app.is_support())") end
  end
  return out, made
end

return schema
