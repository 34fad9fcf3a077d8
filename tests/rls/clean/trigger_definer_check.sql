-- What: A definer trigger asks whether the row it refers to exists in the same tenant.
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
-- @superuser
create function chk() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare n int;
begin
  if not exists (select 1 from public.items i where i.id = new.item_id and i.tenant_id = new.tenant_id) then
    raise exception 'no such item' using errcode = '42501';
  end if;
  select count(*) into n from public.items i where i.id = new.item_id;
  if n > 5 then raise exception 'too many'; end if;
  return new;
end $$;
create trigger chk before insert or update on notes for each row execute function chk();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
insert into notes (tenant_id, item_id) values (:'A', 2);
select from notes where item_id = 2 and note is not null;
