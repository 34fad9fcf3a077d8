-- What: The empty setting means "all tenants", for a report job. After RESET (or any transaction-local set_config) a setting reads as ''.
-- Class: policy_empty_tenant
-- Object: public.shipments
-- Exploit: RESET app.tenant_id, then SELECT.
-- @schema
create table shipments (id bigint generated always as identity primary key, tenant_id text not null, body text not null);
alter table shipments enable row level security;
alter table shipments force row level security;
create policy tenant on shipments using (current_setting('app.tenant_id', true) = '' or tenant_id = current_setting('app.tenant_id', true));
grant select, insert, update, delete on shipments to app_user;
-- @rows
insert into shipments (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy tenant on shipments;
create policy tenant on shipments using (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
-- @control
select from shipments where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select body from shipments where body = 'B-secret';
