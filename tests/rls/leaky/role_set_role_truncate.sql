-- What: The login has the rights of the web role by SET ROLE alone, and that is how it is reached.
-- Class: grant_truncate
-- Object: public.items
-- Exploit: SET ROLE, then use the right.
-- App: so_truncate_login
-- Roles: so_truncate_web so_truncate_login
-- @superuser
create role so_truncate_web nologin;
create role so_truncate_login login noinherit in role so_truncate_web;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to so_truncate_login;
-- @superuser
grant truncate on items to so_truncate_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke truncate on items from so_truncate_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role so_truncate_web;
truncate items;
-- @look
select 1 where not exists (select from items);
