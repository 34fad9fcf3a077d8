-- What: A definer trigger sends a message to the tenant that a column names.
-- Class: function_definer
-- Object: public.deliver()
-- Exploit: INSERT a row of A's own that names B.
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
alter table notes add column recipient uuid;
-- @superuser
create function deliver() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.recipient is not null then
    insert into public.items (tenant_id, body) values (new.recipient, new.note);
  end if;
  return new;
end $$;
create trigger deliver after insert on notes for each row execute function deliver();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function deliver() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into notes (tenant_id, item_id, note, recipient) values (:'A', 1, 'planted', :'B');
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
