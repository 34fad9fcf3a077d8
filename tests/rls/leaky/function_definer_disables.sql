-- What: The owner, whom FORCE binds, has a function that takes row-level security away.
-- Class: function_definer
-- Object: public.begin_load()
-- Exploit: Call it, then read.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create function begin_load() returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$ begin alter table public.items disable row level security; end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function begin_load() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select begin_load();
select body from items where body = 'B-secret';
