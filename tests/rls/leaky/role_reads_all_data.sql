-- What: pg_read_all_data, for an ad-hoc query. Policies still bind it, but no missing GRANT does: the import tables never had more.
-- Class: role_reads_all_data
-- Object: reads_all_web | import.raw_customers
-- Exploit: SELECT from a table that nobody granted, in a schema that nobody opened.
-- App: reads_all_web
-- Roles: reads_all_web
-- Since: 14
-- @superuser
create role reads_all_web login in role pg_read_all_data;
-- @schema
create table customers (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on customers to reads_all_web;
create schema import;
create table import.raw_customers (tenant_id uuid not null, body text not null);
-- @rows
insert into customers (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
insert into import.raw_customers values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke pg_read_all_data from reads_all_web;
-- @control
select from customers where tenant_id = :'A';
-- @exploit
select body from import.raw_customers where body = 'B-secret';
