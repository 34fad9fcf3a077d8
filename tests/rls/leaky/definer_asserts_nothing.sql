-- What: The guard that is PERFORMed raises where there is no tenant at all, and lets every other pass.
-- Class: function_definer
-- Object: public.items_of
-- Exploit: Call it with B's id.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function assert_given(org uuid) returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if org is null then
    raise insufficient_privilege;
  end if;
end $$;
create function items_of(org uuid) returns setof items language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform public.assert_given(org);
  return query select * from items where tenant_id = org;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function items_of(uuid) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items_of(:'B') where body = 'B-secret';
