-- What: "Filter only if a tenant is set": coalesce(setting, tenant_id) compares the column with itself where none is.
-- Class: policy_unset_tenant|policy_empty_tenant
-- Object: public.payments
-- Exploit: RESET (or a new connection), then SELECT.
-- @schema
create table payments (id bigint generated always as identity primary key, tenant_id uuid not null, iban text not null);
alter table payments enable row level security;
alter table payments force row level security;
create policy tenant on payments using (tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), '')::uuid, tenant_id));
grant select, insert, update, delete on payments to app_user;
-- @rows
insert into payments (tenant_id, iban) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on payments using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- @control
select from payments where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select iban from payments where iban = 'B-secret';
