-- What: LIKE with a wildcard behind, for tenants that have sub-tenants: acme owns acme-eu, an unrelated customer.
-- Class: policy_prefix_match
-- Object: public.pages
-- Exploit: SELECT as tenant acme.
-- A: acme
-- B: acme-eu
-- @schema
create table pages (id bigint generated always as identity primary key, tenant_id text not null, body text not null);
alter table pages enable row level security;
alter table pages force row level security;
create policy tenant on pages using (tenant_id like nullif(current_setting('app.tenant_id', true), '') || '%');
grant select, insert, update, delete on pages to app_user;
-- @rows
insert into pages (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on pages using (tenant_id = current_setting('app.tenant_id', true));
-- @control
select from pages where tenant_id = :'A';
-- @exploit
select body from pages where body = 'B-secret';
