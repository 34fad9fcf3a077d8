-- What: A view of the ten newest orders of all, filtered by tenant behind the LIMIT: others' orders push the own ones out.
-- Class: view_owner_rights
-- Object: public.orders_newest
-- Severity: advisory
-- Exploit: an own order is not among the newest any more, which tells that others ordered.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, status text not null, body text not null);
alter table orders enable row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
create view orders_newest with (security_barrier) as select id, body from (
  select id, tenant_id, body from orders order by id desc limit 10) s
  where tenant_id::text = current_setting('app.tenant_id', true);
grant select on orders_newest to app_user;
-- @rows
insert into orders (tenant_id, status, body) values (:'A', 'open', 'A-row');
insert into orders (tenant_id, status, body) select :'B', 'open', 'B-secret' from generate_series(1, 9);
-- @control
select from orders_newest;
-- @meanwhile
insert into orders (tenant_id, status, body) values (:'B', 'open', 'B-secret');
-- @exploit
select from orders where not exists (select from orders_newest);
