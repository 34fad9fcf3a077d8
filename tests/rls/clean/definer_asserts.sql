-- What: Functions with their owner's rights that first PERFORM another, which raises where the tenant is not the session's.
-- Exploit: None: the guard raises.
-- Source: assert_member(org), has_access_or_raise(org) in RPC functions
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function is_own(org uuid) returns boolean language sql stable set search_path = public, pg_temp
  as $$ select org = nullif(current_setting('app.tenant_id', true), '')::uuid $$;
create function assert_own(org uuid) returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not coalesce(public.is_own(org), false) then
    raise insufficient_privilege using message = 'not yours';
  end if;
end $$;
create function items_of(org uuid) returns setof items language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.assert_own(org);
  return query select * from items where tenant_id = org;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items_of(:'B') where body = 'B-secret';
