-- What: A function with its owner's rights puts a row in place of the one with its key, which is of all tenants.
-- Class: function_definer
-- Object: public.put(text, text)
-- Exploit: Call it with the name of tenant B's row: that is changed, and becomes tenant A's.
-- Source: "upsert" functions over a name that was unique before there were tenants
-- @schema
create table prefs (name text primary key, tenant_id uuid not null, body text not null);
alter table prefs enable row level security;
alter table prefs force row level security;
create policy tenant on prefs using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on prefs to app_user;
-- @superuser
create function put(p_name text, p_body text) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into public.prefs (tenant_id, name, body)
    values (nullif(current_setting('app.tenant_id', true), '')::uuid, p_name, p_body)
  on conflict (name) do update set tenant_id = excluded.tenant_id, body = excluded.body $$;
-- @rows
insert into prefs (tenant_id, name, body) values (:'A', 'a', 'A-row'), (:'B', 'b', 'B-secret');
-- @fix
create or replace function put(p_name text, p_body text) returns void language sql security definer
  set search_path = pg_catalog, pg_temp as $$
  insert into public.prefs as p (tenant_id, name, body)
    values (nullif(current_setting('app.tenant_id', true), '')::uuid, p_name, p_body)
  on conflict (name) do update set body = excluded.body where p.tenant_id = excluded.tenant_id $$;
-- @control
select from prefs where tenant_id = :'A';
-- @exploit
select put('b', 'taken');
-- @look
select from prefs where name = 'b' and body = 'taken';
