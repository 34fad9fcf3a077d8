-- What: Tenants are hashes: bytea, which is written otherwise than it is read.
-- Exploit: None.
-- A: \xaa01
-- B: \xbb02
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id bytea not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = current_setting('app.tenant_id', true)::bytea);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
