-- What: pg_write_all_data, for an import job under the same login. The ledger has no policies, since it has no grants either.
-- Class: role_writes_all_data|role_reads_all_data
-- Object: writes_all_web | public.ledger
-- Exploit: A blind DELETE from a table that nobody granted.
-- App: writes_all_web
-- Roles: writes_all_web
-- Since: 14
-- @superuser
create role writes_all_web login in role pg_write_all_data;
-- @schema
create table customers (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on customers to writes_all_web;
create table ledger (tenant_id uuid not null, amount numeric not null);
-- @rows
insert into customers (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
insert into ledger values (:'A', 1), (:'B', 2);
-- @fix
revoke pg_write_all_data from writes_all_web;
-- @control
select from customers where tenant_id = :'A';
-- @exploit
delete from ledger;
-- @look
select 'gone' where not exists (select from ledger where tenant_id = :'B');
