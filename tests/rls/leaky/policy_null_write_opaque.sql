-- What: A helper in PL/pgSQL looks through the session's list of tenants, and lets a row without one in, for the import that fills it in later.
-- Class: policy_null_tenant|policy_null_write|cross_tenant_leak
-- Object: public.leads
-- Exploit: INSERT with NULL; every tenant's import sees the row.
-- @schema
create table leads (id bigint generated always as identity primary key, tenant_id uuid, body text not null);
create function may_write(p_tenant uuid) returns boolean language plpgsql stable as $$
declare v_one text;
begin
  if p_tenant is null then return true; end if;
  foreach v_one in array string_to_array(current_setting('app.tenant_id', true), ',') loop
    if v_one = p_tenant::text then return true; end if;
  end loop;
  return false;
end $$;
alter table leads enable row level security;
alter table leads force row level security;
create policy r on leads for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy w on leads for insert with check (may_write(tenant_id));
grant select, insert on leads to app_user;
-- @rows
insert into leads (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function may_write(p_tenant uuid) returns boolean language plpgsql stable as $$
declare v_one text;
begin
  if p_tenant is null then return false; end if;
  foreach v_one in array string_to_array(current_setting('app.tenant_id', true), ',') loop
    if v_one = p_tenant::text then return true; end if;
  end loop;
  return false;
end $$;
-- @control
select from leads where tenant_id = :'A';
-- @exploit
insert into leads (tenant_id, body) values (null, 'planted');
-- @look
select from leads where tenant_id is null and body = 'planted';
