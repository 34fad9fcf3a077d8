-- What: A reporting view of the days before security_invoker: it reads with the rights of the superuser who ran the migration.
-- Class: view_owner_rights
-- Object: public.order_totals
-- Exploit: SELECT from the view.
-- FixSince: 15
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, amount numeric not null,
  body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
-- @superuser
create view order_totals as select tenant_id, sum(amount) as total, string_agg(body, ',') as bodies from orders group by tenant_id;
grant select on order_totals to app_user;
-- @rows
insert into orders (tenant_id, amount, body) values (:'A', 10, 'A-row'), (:'B', 20, 'B-secret');
-- @fix
alter view order_totals set (security_invoker = true);
-- @control
select from order_totals where tenant_id = :'A';
-- @exploit
select bodies from order_totals where bodies like '%B-secret%';
