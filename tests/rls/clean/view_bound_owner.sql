-- What: A view without security_invoker, whose owner is bound by FORCE, the policy being for everybody.
-- Exploit: SELECT from the view.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create view order_list as select id, body from orders;
grant select on order_list to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from order_list where body = 'A-row';
-- @attack
select from order_list where body = 'B-secret';
