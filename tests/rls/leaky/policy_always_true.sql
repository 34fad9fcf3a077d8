-- What: The policy that was to be replaced "before launch": USING (true) keeps the linter quiet and lets everyone in.
-- Class: policy_always_true
-- Object: public.notes
-- Exploit: SELECT, and a WHERE on the other tenant's id changes nothing.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
create policy "allow all" on notes using (true) with check (true);
grant select, insert, update, delete on notes to app_user;
-- @rows
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy "allow all" on notes;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from notes where tenant_id = :'A';
-- @exploit
select body from notes where tenant_id = :'B';
