-- What: The tenants' own table makes their numbers: its tenant's column is GENERATED ALWAYS AS IDENTITY, which no UPDATE may set.
-- Exploit: None.
-- A: 1
-- B: 2
-- @schema
create table tenants (tenant_id bigint generated always as identity primary key, title text not null);
create table items (id bigint generated always as identity primary key, tenant_id bigint not null references tenants, body text not null);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::bigint);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::bigint);
grant select, insert, update, delete on tenants, items to app_user;
-- @rows
insert into tenants (title) values ('A'), ('B');
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
