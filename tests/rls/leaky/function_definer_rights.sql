-- What: Functions with their owner's rights change who may do what, and ask what: a table, a policy, a word, a number, a role.
-- Class: function_definer
-- Object: public.open_up(regclass) | public.forget_policy(text, text) | public.hand_over(integer, text) | public.loosen(text) |
--   public.promote(text, text)
-- Exploit: Call one with the name of the table, and read it.
-- App: definer_rights_web
-- Roles: definer_rights_web definer_rights_all
-- @superuser
create role definer_rights_web login;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to definer_rights_web;
-- @superuser
create role definer_rights_all nologin bypassrls;
create function open_up(p regclass) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('alter table %s disable row level security', p);
end $$;
create function forget_policy(p text, q text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('drop policy %I on public.%I', p, q);
end $$;
create function hand_over(p int, q text default 'x') returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p is null then raise exception 'no'; end if;
  alter table public.items owner to definer_rights_web;
end $$;
create function loosen(p text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p is distinct from 'please' then raise exception 'no'; end if;
  alter policy tenant on public.items using (true);
end $$;
create function promote(p text, q text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant %I to %I', p, q);
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on all functions in schema public from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select open_up('items');
select from items where body = 'B-secret';
