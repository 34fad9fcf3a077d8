-- What: The application's login inherits the migration role, which owns the table; without FORCE no policy binds an owner.
-- Class: rls_not_forced|role_owns_table
-- Object: public.contacts | not_forced_web
-- Exploit: SELECT, with the inherited rights of the owner.
-- App: not_forced_web
-- Roles: not_forced_web
-- @superuser
create role not_forced_web login in role app_owner;
-- @schema
create table contacts (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table contacts enable row level security;
create policy tenant on contacts using (tenant_id::text = current_setting('app.tenant_id', true));
-- @rows
insert into contacts (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke app_owner from not_forced_web;
grant select, insert, update, delete on contacts to not_forced_web;
-- @control
select from contacts where tenant_id = :'A';
-- @exploit
select body from contacts where body = 'B-secret';
