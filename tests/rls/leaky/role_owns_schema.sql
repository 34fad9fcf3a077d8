-- What: The application owns the schema, "so that it can create its tables". Who owns a schema may drop whatever is in it.
-- Class: role_owns_schema|role_owns_table
-- Object: owns_schema_web | shop | shop.orders
-- Exploit: DROP TABLE, although it belongs to another role.
-- App: owns_schema_web
-- Roles: owns_schema_web
-- @superuser
create role owns_schema_web login;
create schema shop authorization owns_schema_web;
grant usage, create on schema shop to app_owner;
-- @schema
create table shop.orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table shop.orders enable row level security;
alter table shop.orders force row level security;
create policy tenant on shop.orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on shop.orders to owns_schema_web;
-- @rows
insert into shop.orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter schema shop owner to app_owner;
grant usage on schema shop to owns_schema_web;
-- @control
select from shop.orders where tenant_id = :'A';
-- @exploit
drop table shop.orders;
-- @look
select 'gone' where to_regclass('shop.orders') is null;
