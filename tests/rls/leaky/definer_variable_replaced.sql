-- What: The tenant is the session's until a branch replaces it by the argument.
-- Class: function_definer
-- Object: public.items_of
-- Exploit: Call it with B's id.
-- Source: "p_org default null" of RPC functions, for the support team
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function items_of(org uuid) returns setof items language plpgsql security definer set search_path = public, pg_temp as $$
declare
  mine uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
begin
  if org is not null then
    mine := org;
  end if;
  return query select * from items where tenant_id = mine;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function items_of(uuid) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items_of(:'B') where body = 'B-secret';
