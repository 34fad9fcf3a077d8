-- What: The function of a view's INSTEAD OF trigger has its owner's rights and builds its statement: its text says nothing.
-- Class: function_definer
-- Object: public.item_load
-- Exploit: INSERT into the view, or COPY, with the id of B's row.
-- Source: bulk loads: COPY is refused for tables with policies, which is why the view was made
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create view item_load with (security_invoker = true) as select id, body from items;
grant select, insert on item_load to app_user;
-- @superuser
create function load() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('update public.items set body = %L where id = %L', new.body, new.id);
  return new;
end $$;
create trigger load instead of insert on item_load for each row execute function load();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function load() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into item_load values (2, 'stolen');
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
