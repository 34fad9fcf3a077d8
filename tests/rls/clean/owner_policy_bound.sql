-- What: FORCE binds the owner, whose own policy tests the tenant as the application's does; what acts with its rights is bound.
-- Exploit: A view and a function with the owner's rights show the tenant's own rows.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items to app_user using (tenant_id::text = current_setting('app.tenant_id', true));
create policy owner on items to app_owner using (tenant_id::text = nullif(current_setting('app.tenant_id', true), ''));
create function all_items() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public.items $$;
create view v_items as select id, body from items;
grant select, insert, update, delete on items to app_user;
grant select on v_items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from all_items() t join v_items v on v.body = t;
-- @attack
select from all_items() t where t = 'B-secret' union all select from v_items where body = 'B-secret';
