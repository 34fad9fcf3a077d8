-- What: UPDATE without a check of its own row's tenant; the tenants have a table of their own, to which the rows refer.
-- Class: policy_write_unchecked|policy_leak|policy_widens
-- Object: public.invoices
-- Exploit: Give a row to B.
-- @schema
create table orgs (id uuid primary key, name text);
create table invoices (id bigint generated always as identity primary key, tenant_id uuid not null references orgs, number text);
alter table orgs enable row level security;
alter table orgs force row level security;
alter table invoices enable row level security;
alter table invoices force row level security;
create policy own on orgs using (id::text = current_setting('app.tenant_id', true));
create policy tenant on invoices for select using (tenant_id::text = current_setting('app.tenant_id', true) or number = 'shared');
create policy change on invoices for update using (tenant_id::text = current_setting('app.tenant_id', true)) with check (true);
grant select on orgs to app_user;
grant select, update on invoices to app_user;
-- @rows
insert into orgs values (:'A', 'a'), (:'B', 'b');
insert into invoices (tenant_id, number) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
alter policy change on invoices with check (tenant_id::text = current_setting('app.tenant_id', true));
alter policy tenant on invoices using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from invoices where tenant_id = :'A';
-- @exploit
update invoices set tenant_id = :'B', number = 'shared';
-- @look
select from invoices where tenant_id = :'B' and number = 'shared';
