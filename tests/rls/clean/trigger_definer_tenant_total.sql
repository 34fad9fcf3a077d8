-- What: A definer trigger keeps a counter of its own tenant.
-- Exploit: Write rows of A's own that name B's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, item_id bigint not null, note text);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on notes to app_user;
create table totals (tenant_id uuid primary key, n int not null);
alter table totals enable row level security;
alter table totals force row level security;
create policy tenant on totals using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on totals to app_user;
-- @superuser
create function bump() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.totals set n = n + 1 where tenant_id = new.tenant_id;
  return new;
end $$;
create trigger bump after insert on notes for each row execute function bump();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into totals values (:'A', 0), (:'B', 0);
-- @control
select from items where tenant_id = :'A';
-- @attack
insert into notes (tenant_id, item_id) values (:'A', 2);
-- @look
select from totals where n > 0 and tenant_id = :'B';
