-- What: How often a loop runs tells how many rows there are.
-- Class: function_definer
-- Object: public.ticks
-- Exploit: Call it, and count.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function ticks() returns text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  n text := '';
begin
  while length(n) < (select count(*) from items) loop
    n := n || 'x';
  end loop;
  return n;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function ticks() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select t from ticks() t where length(t) > (select count(*) from items);
