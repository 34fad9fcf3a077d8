-- What: IS NOT DISTINCT FROM, to be "null safe", on a nullable column: a session without a tenant owns the rows without one.
-- Class: policy_not_distinct|policy_null_tenant
-- Object: public.drafts
-- Exploit: RESET, then SELECT: the rows tenant B has not filed yet.
-- @schema
create table drafts (id bigint generated always as identity primary key, tenant_id uuid, body text not null);
alter table drafts enable row level security;
alter table drafts force row level security;
create policy tenant on drafts using (tenant_id is not distinct from nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on drafts to app_user;
-- @rows
insert into drafts (tenant_id, body) values (:'A', 'A-row'), (null, 'B-secret');
-- @fix
alter policy tenant on drafts using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- @control
select from drafts where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select body from drafts where body = 'B-secret';
