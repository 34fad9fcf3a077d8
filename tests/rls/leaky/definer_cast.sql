-- What: The function of a cast reads all rows.
-- Class: function_definer
-- Object: public.bodies_of
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create type place as (number bigint);
create function shown(p place) returns text language sql stable as $$ select string_agg(body, ',') from public.items $$;
create cast (place as text) with function shown(place);
create function bodies_of(number bigint) returns text language sql security definer set search_path = public, pg_temp as
  $$ select row(number)::place::text $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function bodies_of(bigint) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select b from bodies_of(1) b where b like '%B-secret%';
