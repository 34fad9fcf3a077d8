-- What: "tenant_id IS NULL OR …", and IS NOT DISTINCT FROM, on columns that are NOT NULL.
-- Exploit: RESET, then SELECT.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table parts (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
alter table parts enable row level security;
alter table parts force row level security;
create policy tenant on items using (tenant_id is null or tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on parts using (tenant_id is not distinct from nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on items, parts to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into parts (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from parts where tenant_id = :'A';
-- @attack
reset app.tenant_id;
select from items union all select from parts;
