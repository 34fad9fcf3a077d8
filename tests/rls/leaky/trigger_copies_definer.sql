-- What: A definer function reads a copy without the tenant column.
-- Class: function_definer|trigger_copies|unclassified_table
-- Object: public.via_copy() | public.copies
-- Exploit: Call the function that reads the copy.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create table copies (id bigint, body text);
create function keep() returns trigger language plpgsql as $$ begin insert into public.copies values (new.id, new.body); return new; end $$;
alter function keep() security definer;
create trigger keep after insert on items for each row execute function keep();
create function via_copy() returns setof text language sql security definer
  set search_path = pg_catalog, pg_temp as $$ select body from public.copies $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function via_copy() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from via_copy() t where t = 'B-secret';
