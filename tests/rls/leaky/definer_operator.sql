-- What: An operator's function reads the row.
-- Class: function_definer
-- Object: public.body_of
-- Exploit: Call it with the numbers of rows.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function body_at(number bigint) returns text language sql stable as $$ select body from public.items where id = number $$;
create operator public.@#@ (rightarg = bigint, function = body_at);
create function body_of(number bigint) returns text language sql security definer set search_path = public, pg_temp as $$ select @#@ number $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function body_of(bigint) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select b from generate_series(1, 2) n, body_of(n) b where b = 'B-secret';
