-- What: A trigger writes the session's tenant into each new row, whatever the statement says: an INSERT for B succeeds, and is A's.
-- Exploit: INSERT for tenant B; looked at afterwards by the superuser.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create function own_tenant() returns trigger language plpgsql as $$
begin
  new.tenant_id := nullif(current_setting('app.tenant_id', true), '')::uuid;
  return new;
end $$;
create trigger own_tenant before insert or update on notes for each row execute function own_tenant();
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on notes to app_user;
-- @rows
alter table notes disable trigger own_tenant;
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
alter table notes enable trigger own_tenant;
-- @control
insert into notes (tenant_id, body) values (:'B', 'is A''s') returning tenant_id;
-- @attack
insert into notes (tenant_id, body) values (:'B', 'planted');
update notes set tenant_id = :'B';
-- @look
select from notes where tenant_id = :'B' and body <> 'B-row';
