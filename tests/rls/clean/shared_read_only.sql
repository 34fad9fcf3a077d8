-- What: Countries are for all tenants: readable, not writable, and the configuration says so. The registry of tenants shows the own row.
-- Exploit: Write the shared table, read the registry.
-- Config: shared = { "public.countries" }
-- @schema
create table countries (code text primary key, name text not null);
create table tenants (id uuid primary key, name text not null, api_key_hash text);
create table offices (id bigint generated always as identity primary key, tenant_id uuid not null references tenants,
  country text not null references countries);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy self on tenants using (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
alter table offices enable row level security;
alter table offices force row level security;
create policy tenant on offices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on countries, tenants to app_user;
grant select, insert, update, delete on offices to app_user;
-- @rows
insert into countries values ('AT', 'Austria');
insert into tenants values (:'A', 'A-row'), (:'B', 'B-secret');
insert into offices (tenant_id, country) values (:'A', 'AT'), (:'B', 'AT');
-- @control
select from offices where tenant_id = :'A';
-- @attack
update countries set name = 'changed';
select from tenants where name = 'B-secret';
