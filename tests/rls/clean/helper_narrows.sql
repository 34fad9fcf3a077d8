-- What: A helper without a search path of its own narrows what the tenant's own comparison leaves: whatever its names mean, no row more.
-- Exploit: A type uuid and a table of the attacker's own, in place of those of the helper.
-- Session: app.user_id = 00000000-0000-4000-8000-00000000000a
-- Tenant: { column = "tenant_id", setting = "app.tenant_id", context = { ["app.user_id"] = "00000000-0000-4000-8000-00000000000a" } }
-- @schema
create function is_active() returns boolean language sql stable
  as $$ select nullif(current_setting('app.user_id', true), '')::uuid is not null $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true) and is_active());
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
set app.user_id = :'A';
select from items where tenant_id = :'A';
-- @attack
create type pg_temp.uuid as enum (:'B');
create function pg_temp.always(text) returns pg_temp.uuid language sql as $$ select enum_first(null::pg_temp.uuid) $$;
create cast (text as pg_temp.uuid) with function pg_temp.always(text);
select body from items where body = 'B-secret';
