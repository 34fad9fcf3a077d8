-- What: Somebody kept a copy before a risky migration. CREATE TABLE AS takes the rows and the tenant column, neither policies nor RLS.
-- Class: rls_missing
-- Object: public.customers_backup_20240301
-- Exploit: SELECT from the copy, which default privileges opened to the application.
-- Refused: 42P01
-- @schema
alter default privileges in schema public grant select, insert, update, delete on tables to app_user;
create table customers (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers using (tenant_id::text = current_setting('app.tenant_id', true));
-- @rows
insert into customers (tenant_id, email) values (:'A', 'a@example.org'), (:'B', 'B-secret');
-- @superuser
set role app_owner;
set row_security = off;
alter table customers no force row level security;
create table customers_backup_20240301 as select * from customers;
alter table customers force row level security;
-- @fix
drop table customers_backup_20240301;
-- @control
select from customers where tenant_id = :'A';
-- @exploit
select email from customers_backup_20240301 where email = 'B-secret';
