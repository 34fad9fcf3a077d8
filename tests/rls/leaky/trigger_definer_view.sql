-- What: INSTEAD OF trigger of a view with definer rights.
-- Class: trigger_copies|function_definer|trigger_definer|view_owner_rights
-- Object: public.item_edit | public.edit() | public.items
-- Exploit: INSERT into the view, with the id of B's row.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create view item_edit with (security_invoker = true) as select id, body from items;
grant select, insert, update on item_edit to app_user;
-- @superuser
create function edit() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.items set body = new.body where id = new.id;
  return new;
end $$;
create trigger edit instead of insert on item_edit for each row execute function edit();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function edit() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into item_edit values (2, 'stolen');
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
