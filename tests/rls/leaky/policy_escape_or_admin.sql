-- What: Platform staff see everything through the same login: a flag in a setting, ORed into the policy.
-- Class: policy_escape_setting
-- Object: public.accounts
-- Exploit: set app.is_platform_admin = 'true'.
-- @schema
create table accounts (id bigint generated always as identity primary key, tenant_id uuid not null, iban text not null);
alter table accounts enable row level security;
alter table accounts force row level security;
create policy tenant on accounts using (tenant_id::text = current_setting('app.tenant_id', true)
  or coalesce(nullif(current_setting('app.is_platform_admin', true), '')::boolean, false));
grant select, insert, update, delete on accounts to app_user;
-- @rows
insert into accounts (tenant_id, iban) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on accounts using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from accounts where tenant_id = :'A';
-- @exploit
set app.is_platform_admin = 'true';
select iban from accounts where iban = 'B-secret';
