-- What: A function of the owner's drops and makes policies for a migration window.
-- Class: function_definer
-- Object: public.open_window()
-- Exploit: Call it, then read.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create function open_window() returns void language sql security definer
  set search_path = pg_catalog, pg_temp as $$ create policy window_all on public.items using (true) $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function open_window() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select open_window();
select body from items where body = 'B-secret';
