-- What: The tenants' own table shows a tenant its row, and an UPDATE may be of any: the configuration does not name the table.
-- Class: policy_always_true|policy_write_unchecked|policy_widens
-- Object: tenants
-- Exploit: The tenant columns of other tables refer to its key, which its policy binds: whose its rows are needs no saying.
-- A: 11111111-1111-4111-8111-111111111111
-- B: 22222222-2222-4222-8222-222222222222
-- @schema
create table tenants (id uuid primary key, name text not null);
create table offices (id bigint generated always as identity primary key, tenant_id uuid not null references tenants, city text not null);
alter table tenants enable row level security;
alter table tenants force row level security;
alter table offices enable row level security;
alter table offices force row level security;
create policy self on tenants for select using (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy renames on tenants for update using (true) with check (true);
create policy tenant on offices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, update on tenants to app_user;
grant select, insert, update, delete on offices to app_user;
-- @rows
insert into tenants values (:'A', 'A-row'), (:'B', 'B-secret');
insert into offices (tenant_id, city) values (:'A', 'Aachen'), (:'B', 'Berlin');
-- @fix
alter policy renames on tenants using (id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- @control
select from tenants where name = 'A-row';
-- @exploit
update tenants set name = 'taken';
-- @look
select from tenants where id = :'B' and name = 'taken';
