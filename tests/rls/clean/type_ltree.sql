-- What: Tenants are labels of a tree, of an extension's type.
-- Exploit: None.
-- A: acme
-- B: globex
-- @superuser
create extension ltree schema public;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id ltree not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = current_setting('app.tenant_id', true)::ltree);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
