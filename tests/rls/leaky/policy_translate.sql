-- What: The characters that are taken out of the tenant's name are all that tells two of them apart.
-- Class: policy_loose_match|policy_default_tenant
-- Object: public.items
-- Exploit: SELECT as tenant A.
-- A: ac-me
-- B: a-cme
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id text not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (translate(tenant_id, '-', '') = translate(current_setting('app.tenant_id', true), '-', ''));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
