-- What: The function reads nothing by itself: a helper with its caller's rights does, in an expression.
-- Class: function_definer
-- Object: public.all_bodies
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function bodies() returns text language sql stable as $$ select string_agg(body, ',') from public.items $$;
create function all_bodies() returns text language plpgsql security definer set search_path = public, pg_temp as $$
begin
  return upper(bodies());
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function all_bodies() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select b from all_bodies() b where b like '%B-SECRET%';
