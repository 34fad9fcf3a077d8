-- What: The function of a policy says what the row holds before it has compared the tenant.
-- Class: policy_tells
-- Object: public.items
-- Exploit: Read the table without a condition, and read the message.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create function own_row(p_tenant uuid, p_body text) returns boolean language plpgsql stable as $$
begin
  if p_body like '%secret%' then
    raise exception 'look at %', p_body;
  end if;
  return p_tenant::text = current_setting('app.tenant_id', true);
end $$;
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (public.own_row(tenant_id, body));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function own_row(p_tenant uuid, p_body text) returns boolean language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if p_tenant::text = current_setting('app.tenant_id', true) then
    raise notice 'own row: %', p_body;
    return true;
  end if;
  return false;
end $$;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function pg_temp.message() returns text language plpgsql as $$
begin
  perform count(*) from items;
  return null;
exception when others then
  return sqlerrm;
end $$;
select m from pg_temp.message() m where m like '%B-secret%';
