-- What: A WITH query deletes rows, and the statement around it only counts them.
-- Class: function_definer
-- Object: public.purge
-- Exploit: Purge another tenant's row, and see the count.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function purge(p_body text) returns bigint language sql security definer set search_path = public, pg_temp as $$
  with gone as (delete from items where body = p_body returning 1)
  select count(*) from gone $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function purge(text) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select p from purge('B-secret') p where p = 1;
