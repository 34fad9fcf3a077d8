-- What: An operator of the schema's own compares the tenant, and its function takes numbers that are near for the same.
-- Class: policy_leak
-- Object: public.items
-- Exploit: Read the table as the tenant whose number is near.
-- A: 3
-- B: 4
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id int not null, body text not null);
create function near(a int, b int) returns boolean language plpgsql immutable as $$
begin
  return a = b or a / 1000 = b / 1000;
end $$;
create operator public.=~= (leftarg = int, rightarg = int, function = near);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id operator(public.=~=) nullif(current_setting('app.tenant_id', true), '')::int);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function near(a int, b int) returns boolean language sql immutable set search_path = pg_catalog, pg_temp as
  $$ select a = b $$;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
