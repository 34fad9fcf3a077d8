-- What: A function of the server's own runs a query that stands in it as text.
-- Class: function_definer
-- Object: public.exported
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function exported() returns xml language plpgsql security definer set search_path = public, pg_temp as $$
declare
  page xml;
begin
  page := query_to_xml('select body from items', true, false, '');
  return page;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function exported() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select e from exported() e where e::text like '%B-secret%';
