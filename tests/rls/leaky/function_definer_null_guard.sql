-- What: A guard that NULL slips by.
-- Class: function_definer
-- Object: public.g(text, bigint)
-- Exploit: Call it with NULL for the tenant.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function g(p text, p_id bigint) returns setof text language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$ begin
  if p <> current_setting('app.tenant_id', true) then raise exception 'no'; end if;
  return query select body from public.items where id = p_id; end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function g(text, bigint) security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from g(null, 2) t where t = 'B-secret';
