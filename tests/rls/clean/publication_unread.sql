-- What: A publication for all tables, for a connector whose role is none of the application's.
-- Exploit: Make a slot, become the connector.
-- Roles: unread_cdc
-- @superuser
create role unread_cdc login replication;
create publication everything for all tables;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set role unread_cdc;
select from pg_create_logical_replication_slot('publication_unread', 'pgoutput', true);
