-- What: Tables without row-level security that the application cannot reach: no grant on one, no USAGE on the other's schema.
-- Exploit: SELECT.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table import_rows (tenant_id uuid not null, body text not null);
create schema internal;
create table internal.ledger (tenant_id uuid not null, body text not null);
grant select on internal.ledger to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
insert into import_rows values (:'B', 'B-secret');
insert into internal.ledger values (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from import_rows;
select body from internal.ledger;
