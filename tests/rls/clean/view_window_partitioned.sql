-- What: Views that test the tenant around windows and groups that keep to one tenant: the newest order of each status, and sums.
-- Exploit: none: the window is partitioned and the rows are grouped by the tenant, before anything else.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, status text not null, body text not null);
alter table orders enable row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
create view orders_newest with (security_barrier) as select id, status, body, rank from (
  select id, tenant_id, status, body, row_number() over w as rank, lag(body) over (partition by tenant_id order by id) as before
    from orders window w as (partition by tenant_id, status order by id desc)) s
  where tenant_id::text = current_setting('app.tenant_id', true) and rank = 1;
create view orders_by_status with (security_barrier) as select status, bodies from (
  select tenant_id, status, string_agg(body, ',') as bodies from orders group by tenant_id, status) s
  where tenant_id::text = current_setting('app.tenant_id', true);
create view orders_last with (security_barrier) as select id, body from (
  select distinct on (tenant_id) id, tenant_id, body from orders order by tenant_id, id desc) s
  where tenant_id::text = current_setting('app.tenant_id', true);
create view orders_few with (security_barrier) as select id, lag(body) over (order by id) as before from orders
  where tenant_id::text = current_setting('app.tenant_id', true) order by id limit 3;
grant select on orders_newest, orders_by_status, orders_last, orders_few to app_user;
create function orders_bodies() returns setof text language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.bodies from (select o.tenant_id, string_agg(o.body, ',') over (partition by o.tenant_id) as bodies from public.orders o) s
   where s.tenant_id::text = current_setting('app.tenant_id', true) $$;
-- @rows
insert into orders (tenant_id, status, body) values (:'B', 'open', 'B-secret'), (:'A', 'open', 'A-row');
-- @control
select from orders_newest where exists (select from orders_by_status) and exists (select from orders_last)
   and exists (select from orders_few) and exists (select from orders_bodies());
-- @attack
select from (select body from orders_newest union all select bodies from orders_by_status union all select body from orders_last
  union all select before from orders_few union all select orders_bodies()) x(t) where t like '%B-secret%';
