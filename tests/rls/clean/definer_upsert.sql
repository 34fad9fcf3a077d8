-- What: Functions with their owner's rights put a row in place of the one with its key: the key holds the tenant, who is the session's.
-- Exploit: None: the row in the way is the tenant's own.
-- Source: settings and counters that are written by "upsert" functions
-- @schema
create table prefs (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null, body text not null,
  active boolean not null default true, unique (tenant_id, name));
create unique index prefs_active on prefs (tenant_id, body) where active;
alter table prefs enable row level security;
alter table prefs force row level security;
create policy tenant on prefs using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on prefs to app_user;
-- @superuser
create function put(p_name text, p_body text) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into public.prefs as p (tenant_id, name, body)
    values (nullif(current_setting('app.tenant_id', true), '')::uuid, p_name, p_body)
  on conflict (tenant_id, name) do update set body = excluded.body, active = true where p.body <> excluded.body $$;
create function keep(p_name text) returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  mine constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  found bigint;
begin
  insert into public.prefs (tenant_id, name, body) select mine, p_name, 'kept'
  on conflict (tenant_id, body) where active do update set tenant_id = excluded.tenant_id, name = excluded.name returning id into found;
  return found;
end $$;
-- @rows
insert into prefs (tenant_id, name, body) values (:'A', 'theme', 'A-row'), (:'B', 'theme', 'B-secret');
-- @control
select from prefs where tenant_id = :'A';
-- @attack
select put('theme', 'taken');
select keep('other');
-- @look
select from prefs where tenant_id = :'B' and body <> 'B-secret' or tenant_id = :'A' and body = 'B-secret';
