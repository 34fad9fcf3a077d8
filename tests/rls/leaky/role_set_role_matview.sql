-- What: The login has the rights of the web role by SET ROLE alone, and that is how it is reached.
-- Class: materialised_view
-- Object: public.m_items
-- Exploit: SET ROLE, then use the right.
-- App: so_matview_login
-- Roles: so_matview_web so_matview_login
-- @superuser
create role so_matview_web nologin;
create role so_matview_login login noinherit in role so_matview_web;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to so_matview_login;
-- @superuser
create materialized view m_items as select * from items;
grant select on m_items to so_matview_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
refresh materialized view m_items;
-- @fix
revoke select on m_items from so_matview_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role so_matview_web;
select body from m_items where body = 'B-secret';
