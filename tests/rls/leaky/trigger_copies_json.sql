-- What: An audit trigger keeps every row as a JSON document, in one table for all tables and tenants, which a page shows.
-- Class: trigger_copies
-- Object: audit.log
-- Exploit: SELECT from the log.
-- Source: generic audit triggers over to_jsonb(NEW)
-- @schema
create schema audit;
grant usage on schema audit to app_user;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
create table audit.log (id bigint generated always as identity primary key, rel text not null, data jsonb not null);
create function audit.keep() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into audit.log (rel, data) values (tg_table_name, to_jsonb(new));
  return null;
end $$;
create trigger keep after insert or update on items for each row execute function audit.keep();
grant select, insert, update, delete on items to app_user;
grant select on audit.log to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter table audit.log add column tenant_id uuid;
update audit.log set tenant_id = (data ->> 'tenant_id')::uuid;
create or replace function audit.keep() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into audit.log (rel, tenant_id, data) values (tg_table_name, new.tenant_id, to_jsonb(new));
  return null;
end $$;
alter table audit.log enable row level security;
alter table audit.log force row level security;
create policy tenant on audit.log for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy keep on audit.log for insert to app_owner with check (true);
-- @control
select from items where tenant_id = :'A';
-- @exploit
select data from audit.log where data ->> 'body' = 'B-secret';
