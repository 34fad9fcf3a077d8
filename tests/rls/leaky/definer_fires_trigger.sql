-- What: The function writes a row of a table that is nobody's, and a trigger with the writer's rights fills it with all rows.
-- Class: function_definer
-- Object: public.visit
-- Exploit: Call it, and read the note.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create table visits (id bigint generated always as identity primary key, at timestamptz not null, note text);
create function note() returns trigger language plpgsql as $$
begin
  new.note := (select string_agg(body, ',') from public.items);
  return new;
end $$;
create trigger note before insert on visits for each row execute function note();
create function visit() returns text language sql security definer set search_path = public, pg_temp as
  $$ insert into visits (at) values (now()) returning note $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function visit() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select v from visit() v where v like '%B-secret%';
