-- What: The step of an aggregate reads all rows.
-- Class: function_definer
-- Object: public.gathered
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function step(state text, number bigint) returns text language sql stable as
  $$ select state || (select string_agg(body, ',') from public.items) $$;
create aggregate gather (bigint) (sfunc = step, stype = text, initcond = '');
create function gathered() returns text language sql security definer set search_path = public, pg_temp as
  $$ select gather(n) from generate_series(1, 1) n $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function gathered() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select g from gathered() g where g like '%B-secret%';
