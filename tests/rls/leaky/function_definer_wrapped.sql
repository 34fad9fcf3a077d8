-- What: The definer function is not the application's to call; a function that is calls it, and has definer's rights itself.
-- Class: function_definer
-- Object: public.report(text) | internal.rows_of(text)
-- Exploit: Call the outer one.
-- @superuser
create schema internal;
create table facts (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table facts enable row level security;
alter table facts force row level security;
create policy tenant on facts using (tenant_id::text = current_setting('app.tenant_id', true));
create function internal.rows_of(p_like text) returns setof text language sql stable security definer
  set search_path = pg_catalog, pg_temp as $$ select body from public.facts where body like p_like $$;
revoke execute on function internal.rows_of(text) from public;
create function report(p_like text) returns setof text language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return query select * from internal.rows_of(p_like);
end $$;
grant select, insert, update, delete on facts to app_user;
-- @rows
insert into facts (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function report(p_like text) returns setof text language sql stable
  set search_path = pg_catalog, pg_temp as $$ select body from public.facts where body like p_like $$;
-- @control
select from report('A-%');
-- @exploit
select r from report('B-%') r where r = 'B-secret';
