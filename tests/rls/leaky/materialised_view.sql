-- What: A materialised view for the dashboard holds all tenants' rows; it can have no policy.
-- Class: materialised_view
-- Object: public.order_stats
-- Exploit: SELECT from it.
-- @superuser
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, memo text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create materialized view order_stats as select tenant_id, count(*) as orders, min(memo) as first from orders group by tenant_id;
grant select, insert, update, delete on orders to app_user;
grant select on order_stats to app_user;
-- @rows
insert into orders (tenant_id, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
refresh materialized view order_stats;
-- @fix
revoke select on order_stats from app_user;
create view my_order_stats with (security_barrier = true) as
  select * from order_stats where tenant_id::text = current_setting('app.tenant_id', true);
grant select on my_order_stats to app_user;
-- @control
select from orders where tenant_id = :'A';
-- @exploit
select first from order_stats where first = 'B-secret';
