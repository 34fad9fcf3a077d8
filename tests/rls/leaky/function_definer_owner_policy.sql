-- What: FORCE binds the owner, and a policy of the owner's own lets it see all: a definer function of his reads everything.
-- Class: function_definer
-- Object: public.all_items()
-- Exploit: Read through it as tenant A.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create policy maintenance on items to app_owner using (true);
create function all_items() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public.items $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function all_items() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from all_items() t where t = 'B-secret';
