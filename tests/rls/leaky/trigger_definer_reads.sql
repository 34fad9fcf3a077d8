-- What: A trigger with definer rights fills in a column from the row that another column names.
-- Class: trigger_copies|function_definer|trigger_definer
-- Object: public.links | public.items | public.fill()
-- Exploit: INSERT a row of A's own that names B's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table links (id bigint generated always as identity primary key, tenant_id uuid not null, item_id bigint not null, title text);
alter table links enable row level security;
alter table links force row level security;
create policy tenant on links using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert on links to app_user;
-- @superuser
create function fill() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  select i.body into new.title from public.items i where i.id = new.item_id;
  return new;
end $$;
create trigger fill before insert on links for each row execute function fill();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function fill() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into links (tenant_id, item_id) values (:'A', 2);
select title from links where title = 'B-secret';
