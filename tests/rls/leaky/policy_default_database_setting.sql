-- What: ALTER DATABASE … SET gives every session a tenant, for the reports of an administrator.
-- Class: policy_default_tenant
-- Object: default_database_web | public.items
-- Exploit: RESET goes back to the database's tenant, which is B.
-- App: default_database_web
-- Roles: default_database_web
-- @superuser
create role default_database_web login;
do $do$ begin execute format('alter database %I set app.tenant_id = %L', current_database(), :'B'); end $do$;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to default_database_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
do $$ begin execute format('alter database %I reset app.tenant_id', current_database()); end $$;
-- @control
select from items where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select body from items where body = 'B-secret';
