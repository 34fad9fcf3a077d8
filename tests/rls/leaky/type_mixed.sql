-- What: The tenant is a UUID in most tables, and in one that was there before an enum of two regions.
-- Class: policy_always_true
-- Object: orders
-- Exploit: No key of an invented tenant fits both: the one table must not keep the others from being looked at.
-- Column: tenant_id
-- A: 11111111-1111-4111-8111-111111111111
-- B: 22222222-2222-4222-8222-222222222222
-- @schema
create type region as enum ('north', 'south');
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, memo text not null);
create table sites (id bigint generated always as identity primary key, tenant_id region not null, memo text not null);
alter table orders enable row level security;
alter table orders force row level security;
alter table sites enable row level security;
alter table sites force row level security;
create policy tenant on orders using (true);
create policy tenant on sites using (tenant_id::text = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, update, delete on orders, sites to app_user;
-- @rows
insert into orders (tenant_id, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on orders using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- @control
select from orders where tenant_id = :'A';
-- @exploit
select memo from orders where memo = 'B-secret';
