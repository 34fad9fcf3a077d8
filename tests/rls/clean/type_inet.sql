-- What: Tenants are networks: inet, whose text as a value is not the one that it was read from.
-- Exploit: None.
-- A: 10.0.0.1
-- B: 10.0.0.2
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id inet not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = current_setting('app.tenant_id', true)::inet);
grant select, insert, update, delete on items to app_user;
create view open_items as select tenant_id, body from items where body <> 'closed';
grant select on open_items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
