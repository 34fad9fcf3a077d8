-- What: The context function falls back to the default tenant of self-hosted installations, who is a customer here.
-- Class: policy_default_tenant
-- Object: public.runs
-- Exploit: RESET: the session works for the default tenant.
-- Source: "if unset or invalid, it falls back to the default self-host tenant ID", of an agent platform's RLS migration
-- @schema
create schema app;
grant usage on schema app to app_user;
create function app.current_tenant_id() returns uuid language plpgsql stable as $$
begin
  return current_setting('app.tenant_id')::pg_catalog.uuid;
exception when others then
  return 'bbbbbbbb-0000-4000-8000-000000000002'::pg_catalog.uuid;
end $$;
create table runs (id bigint generated always as identity primary key, tenant_id uuid not null, log text not null);
alter table runs enable row level security;
alter table runs force row level security;
create policy tenant on runs using (tenant_id = app.current_tenant_id());
grant select, insert, update, delete on runs to app_user;
-- @rows
insert into runs (tenant_id, log) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function app.current_tenant_id() returns uuid language sql stable
  as $$ select nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid $$;
-- @control
select from runs where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select log from runs where log = 'B-secret';
