-- What: The function filters by a tenant it is given, and does not compare it with the session's.
-- Class: function_definer
-- Object: app.invoice_total(uuid)
-- Exploit: Call it with tenant B's id.
-- Source: RPC functions for PostgREST and Supabase that take the organisation as an argument
-- Roles: definer_parameter_owner
-- @superuser
create role definer_parameter_owner bypassrls;
-- @schema
create schema app;
grant usage on schema app to app_user, definer_parameter_owner;
create table app.invoices (id bigint generated always as identity primary key, tenant_id uuid not null, memo text not null);
alter table app.invoices enable row level security;
alter table app.invoices force row level security;
create policy tenant on app.invoices using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on app.invoices to app_user, definer_parameter_owner;
-- @superuser
create function app.invoice_total(p_tenant uuid) returns table (memo text) language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return query select i.memo from app.invoices i where i.tenant_id = p_tenant;
end $$;
alter function app.invoice_total(uuid) owner to definer_parameter_owner;
-- @rows
insert into app.invoices (tenant_id, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function app.invoice_total(p_tenant uuid) returns table (memo text) language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return query select i.memo from app.invoices i where i.tenant_id = p_tenant and i.tenant_id::text = current_setting('app.tenant_id',
    true);
end $$;
-- @control
select from app.invoice_total(:'A');
-- @exploit
select memo from app.invoice_total(:'B') where memo = 'B-secret';
