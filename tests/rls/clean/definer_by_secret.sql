-- What: The login's function, with the rights of an owner whose own policy shows it all tenants, answers whoever gives the key of one.
-- Exploit: Call it with what is not known: nothing, the hash itself.
-- @superuser
create table tenants (tenant_id uuid primary key, name text not null, api_key text not null);
alter table tenants owner to app_owner;
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants to app_user using (tenant_id::text = current_setting('app.tenant_id', true));
create policy operator on tenants to app_owner using (true);
create function authenticate(p_key text) returns table (id uuid, tenant_name text) language sql stable strict security definer
  set search_path = pg_catalog, pg_temp
  as $$ select t.tenant_id, t.name from public.tenants t
        where t.api_key = 'sha256:' || encode(sha256(convert_to(p_key, 'UTF8')), 'hex') and t.name <> '' $$;
alter function authenticate(text) owner to app_owner;
grant select on tenants to app_user;
-- @rows
insert into tenants values (:'A', 'A-row', 'sha256:' || encode(sha256(convert_to('key-a', 'UTF8')), 'hex')),
  (:'B', 'B-secret', 'sha256:' || encode(sha256(convert_to('key-b-51f2c0', 'UTF8')), 'hex'));
-- @control
select from authenticate('key-a');
-- @attack
select from authenticate('') union all select from authenticate('%')
  union all select from authenticate('sha256:' || encode(sha256(convert_to('key-b-51f2c0', 'UTF8')), 'hex'));
