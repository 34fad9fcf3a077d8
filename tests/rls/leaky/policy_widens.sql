-- What: Soft delete, as a second policy that was meant to narrow: without AS RESTRICTIVE it is ORed.
-- Class: policy_widens
-- Object: public.customers
-- Exploit: Every row that is not deleted is visible.
-- @schema
create table customers (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null,
  deleted_at timestamptz);
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers using (tenant_id::text = current_setting('app.tenant_id', true));
create policy hide_deleted on customers for select using (deleted_at is null);
grant select, insert, update, delete on customers to app_user;
-- @rows
insert into customers (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy hide_deleted on customers;
create policy hide_deleted on customers as restrictive for select using (deleted_at is null);
-- @control
select from customers where tenant_id = :'A';
-- @exploit
select name from customers where name = 'B-secret';
