-- What: A statement trigger copies its transition table.
-- Class: trigger_copies
-- Object: public.latest
-- Exploit: Read the table that it copies to.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create table latest (k text primary key, body text);
grant select on latest to app_user;
create function cp() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$ begin insert into public.latest select gen_random_uuid()::text, body from added; return null; end $$;
create trigger cp after insert on items referencing new table as added for each statement execute function cp();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke select on latest from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from latest where body = 'B-secret';
