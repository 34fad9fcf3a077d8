-- What: SECURITY DEFINER that lists all rows of a table whose tenant is a citext.
-- Class: function_definer
-- Object: public.list_members()
-- Exploit: Call it.
-- Column: shop
-- Setting: app.shop
-- A: shop
-- B: outlet
-- @superuser
create extension citext;
create table members (id bigint generated always as identity primary key, shop citext not null, email text not null);
alter table members enable row level security;
alter table members force row level security;
create policy shop on members using (shop = nullif(current_setting('app.shop', true), '')::citext);
create function list_members() returns setof members language sql stable security definer set search_path = pg_catalog, public, pg_temp
  as $$ select * from public.members $$;
grant select, insert, update, delete on members to app_user;
-- @rows
insert into members (shop, email) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function list_members() security invoker;
-- @control
select from list_members() where email = 'A-row';
-- @exploit
select email from list_members() where email = 'B-secret';
