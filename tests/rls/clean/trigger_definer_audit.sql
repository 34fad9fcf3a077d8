-- What: A definer trigger writes an audit row with the tenant of the row.
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
create table audit (id bigint generated always as identity primary key, tenant_id uuid not null, what text, doc jsonb);
alter table audit enable row level security;
alter table audit force row level security;
create policy tenant on audit using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on audit to app_user;
-- @superuser
create function audit() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    insert into public.audit (tenant_id, what, doc) values (old.tenant_id, tg_op, to_jsonb(old));
    return old;
  end if;
  insert into public.audit (tenant_id, what, doc) values (new.tenant_id, tg_op || tg_table_name, to_jsonb(new));
  insert into public.audit (tenant_id, what) values (coalesce(new.tenant_id, old.tenant_id), 'again');
  return new;
end $$;
create trigger audit after insert or update or delete on notes for each row execute function audit();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
insert into notes (tenant_id, item_id) values (:'A', 2);
-- @look
select from audit where tenant_id = :'B';
