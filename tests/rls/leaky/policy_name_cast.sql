-- What: Both sides are cast to name, which keeps 63 bytes: tenants whose ids begin alike for as long are one.
-- Class: policy_prefix_match|policy_loose_match
-- Object: public.items
-- Exploit: As acme's tenant, SELECT what is of the other whose id ends otherwise.
-- Source: policies that compare the tenant with a role's name, and are kept when the setting takes its place
-- A: urn:tenant:eu-west-1:production:00000000-0000-4000-8000-000000000000:a
-- B: urn:tenant:eu-west-1:production:00000000-0000-4000-8000-000000000000:b
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id text not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::name = current_setting('app.tenant_id', true)::name);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on items using (tenant_id = current_setting('app.tenant_id', true));
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
