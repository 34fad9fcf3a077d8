-- What: The login has the rights of the web role by SET ROLE alone, and that is how it is reached.
-- Class: grant_trigger
-- Object: public.items
-- Exploit: SET ROLE, then use the right.
-- App: so_trigger_login
-- Roles: so_trigger_web so_trigger_login
-- @superuser
create role so_trigger_web nologin;
create role so_trigger_login login noinherit in role so_trigger_web;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to so_trigger_login;
-- @superuser
grant trigger on items to so_trigger_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke trigger on items from so_trigger_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role so_trigger_web;
select 1 where has_table_privilege('items', 'TRIGGER');
