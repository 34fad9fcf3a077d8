-- What: The materialised view is the owner's alone; the application reads a barrier view over it that tests the tenant.
-- Exploit: SELECT from both.
-- @superuser
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create materialized view order_stats as select tenant_id, count(*) as orders, min(body) as first from orders group by tenant_id;
create view my_order_stats with (security_barrier = true) as
  select orders, first from order_stats where tenant_id::text = current_setting('app.tenant_id', true);
grant select, insert, update, delete on orders to app_user;
grant select on my_order_stats to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
refresh materialized view order_stats;
-- @control
select from my_order_stats where first = 'A-row';
-- @attack
select first from order_stats;
select first from my_order_stats where first = 'B-secret';
