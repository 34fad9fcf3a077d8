-- What: What the function calls is bound as it is: helpers that are given the tenant or answer yes or no in a test, messages of arguments.
-- Exploit: None: it is the session's own.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function own_tenant() returns uuid language sql stable as $$ select nullif(current_setting('app.tenant_id', true), '')::uuid $$;
create function body_of(p_id bigint, p_tenant uuid) returns text language sql stable as
  $$ select upper(i.body) from public.items i where i.id = p_id and i.tenant_id = p_tenant $$;
create function is_there(p_id bigint) returns boolean language sql stable as
  $$ select exists (select from public.items i where i.id = p_id and i.tenant_id = public.own_tenant()) $$;
create function listed(p_id bigint, p_limit int) returns text language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  out text := '';
  n int := 0;
begin
  assert p_limit < 100, 'too many';
  if p_limit is null then
    raise exception 'a limit is wanted, not %', p_limit using hint = 'give ' || 10;
  end if;
  if not public.is_there(p_id) then
    raise notice 'nothing at %', p_id;
    return null;
  end if;
  while n < p_limit loop
    n := n + 1;
    exit when n > 50;
    out := out || coalesce(public.body_of(n, public.own_tenant()), '-');
  end loop;
  for n in 1 .. p_limit loop
    out := out || (select coalesce(string_agg(public.body_of(i.id, i.tenant_id), ','), '') from public.items i
                    where i.tenant_id = public.own_tenant() and i.id = n);
  end loop;
  return out;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select l from generate_series(1, 2) n, listed(n, 3) l where l like '%SECRET%';
