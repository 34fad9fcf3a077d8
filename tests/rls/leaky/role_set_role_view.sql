-- What: The login has the rights of the web role by SET ROLE alone, and that is how it is reached.
-- Class: view_owner_rights
-- Object: public.v_items
-- Exploit: SET ROLE, then use the right.
-- App: so_view_login
-- Roles: so_view_web so_view_login
-- @superuser
create role so_view_web nologin;
create role so_view_login login noinherit in role so_view_web;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to so_view_login;
-- @superuser
create view v_items as select * from items;
grant select on v_items to so_view_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke select on v_items from so_view_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role so_view_web;
select body from v_items where body = 'B-secret';
