-- What: A view for editing, with an INSTEAD OF trigger whose function has its owner's rights and changes the item that the row names.
-- Class: function_definer|view_owner_rights
-- Object: public.edit() | public.item_list
-- Exploit: The list shows no more than ids; an UPDATE of it changes tenant B's item.
-- Source: editable views of reporting tools
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create view item_list with (security_invoker = true) as select id, body, id as target from items;
grant select, update on item_list to app_user;
-- @superuser
create function edit() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.items set body = new.body where id = new.target;
  return new;
end $$;
create trigger edit instead of update on item_list for each row execute function edit();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function edit() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
update item_list set body = 'stolen', target = 2;
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
