-- What: Functions of policies that raise: that no tenant is set, what the session says, and of the row only when it is the tenant's own.
-- Exploit: None: nothing is said of another tenant's row.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create function own_tenant() returns uuid language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v text := current_setting('app.tenant_id', true);
begin
  if v is null or v = '' then
    raise exception 'no tenant is set' using hint = 'SET app.tenant_id', errcode = '42501';
  elsif length(v) <> 36 then
    raise exception 'no tenant: %', v;
  end if;
  return v::uuid;
end $$;
create function is_fine(p_tenant uuid, p_body text) returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_tenant = public.own_tenant() then
    raise debug 'looking at %', p_body;
    return p_body <> 'hidden';
  end if;
  return false;
end $$;
create function warned(p_body text) returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  raise debug 'looking at %', p_body;
  return true;
end $$;
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = public.own_tenant() and public.is_fine(tenant_id, body));
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (case when tenant_id::text = current_setting('app.tenant_id', true) then public.warned(body) else false end);
grant select, insert, update, delete on items, notes to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
