-- What: A definer function reads a materialised view.
-- Class: function_definer
-- Object: public.via_view()
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create materialized view everything as select id, tenant_id, body from items;
create function via_view() returns setof text language sql security definer
  set search_path = pg_catalog, pg_temp as $$ select body from public.everything $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
refresh materialized view everything;
-- @fix
alter function via_view() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from via_view() t where t = 'B-secret';
