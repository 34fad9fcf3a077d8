-- What: The application may switch foreign keys and triggers off, as its bulk loader wanted to.
-- Class: role_sets_parameters
-- Object: loader_web
-- App: loader_web
-- Roles: loader_web
-- Exploit: A row whose trigger would have refused it, and a line that refers to another tenant's row.
-- Since: 15
-- Refused: 23503
-- @superuser
create role loader_web login;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to loader_web;
create table lines (id bigint generated always as identity primary key, tenant_id uuid not null, item_id bigint not null);
alter table items add unique (tenant_id, id);
alter table lines add foreign key (tenant_id, item_id) references items (tenant_id, id);
alter table lines enable row level security;
alter table lines force row level security;
create policy tenant on lines using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on lines to loader_web;
-- @superuser
grant set on parameter session_replication_role to loader_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke set on parameter session_replication_role from loader_web;
-- @control
select from items where body = 'A-row';
-- @exploit
set session_replication_role = replica;
insert into lines (tenant_id, item_id) values (:'A', 2);
-- @look
select from lines l join items i on i.id = l.item_id where i.body = 'B-secret' and l.tenant_id <> i.tenant_id;
