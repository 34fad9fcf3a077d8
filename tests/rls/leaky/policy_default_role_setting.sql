-- What: ALTER ROLE … SET gives every session of the application a tenant, so that scripts work without one.
-- Class: policy_default_tenant
-- Object: default_setting_web | public.items
-- Exploit: RESET goes back to the role's tenant, which is B.
-- App: default_setting_web
-- Roles: default_setting_web
-- @superuser
create role default_setting_web login;
alter role default_setting_web set app.tenant_id = :'B';
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to default_setting_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter role default_setting_web reset app.tenant_id;
-- @control
select from items where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select body from items where body = 'B-secret';
