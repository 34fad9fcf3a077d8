-- What: The view's owner is no superuser, but the reporting role, which has BYPASSRLS.
-- Class: view_owner_rights
-- Object: reporting.revenue
-- Exploit: SELECT from the view.
-- Roles: view_bypass_reporting
-- FixSince: 15
-- @superuser
create role view_bypass_reporting bypassrls;
create schema reporting authorization view_bypass_reporting;
-- @schema
create table invoices (id bigint generated always as identity primary key, tenant_id uuid not null, memo text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on invoices to app_user;
grant select on invoices to view_bypass_reporting;
-- @superuser
set role view_bypass_reporting;
create view reporting.revenue as select date_trunc('month', now()) as month, memo from invoices;
grant usage on schema reporting to app_user;
grant select on reporting.revenue to app_user;
-- @rows
insert into invoices (tenant_id, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view reporting.revenue set (security_invoker = on);
-- @control
select from reporting.revenue where memo = 'A-row';
-- @exploit
select memo from reporting.revenue where memo = 'B-secret';
