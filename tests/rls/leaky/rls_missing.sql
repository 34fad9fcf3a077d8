-- What: The newest table of a migration got its tenant column and its grants, and nobody enabled row-level security on it.
-- Class: rls_missing
-- Object: public.invoices
-- Exploit: SELECT without any WHERE.
-- Source: dev.to "6 Supabase RLS policies that pass code review and still leak data", 1
-- @schema
create table invoices (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from invoices where tenant_id = :'A';
-- @exploit
select body from invoices where body = 'B-secret';
