-- What: A view sets beside each of the tenant's notes the newest of all, by a WITH query that nothing binds.
-- Class: view_owner_rights
-- Object: public.notes_newest
-- Exploit: SELECT from the view with tenant A.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, kind text not null, body text not null);
alter table notes enable row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on notes to app_user;
create view notes_newest with (security_barrier) as
  with newest as (select max(body) as newest from notes)
  select n.id, w.newest from notes n cross join newest w where n.tenant_id::text = current_setting('app.tenant_id', true);
grant select on notes_newest to app_user;
-- @rows
insert into notes (tenant_id, kind, body) values (:'B', 'note', 'B-secret'), (:'A', 'note', 'A-row');
-- @fix
create or replace view notes_newest with (security_barrier) as
  with newest as (select max(body) as newest from notes where tenant_id::text = current_setting('app.tenant_id', true))
  select n.id, w.newest from notes n cross join newest w where n.tenant_id::text = current_setting('app.tenant_id', true);
-- @control
select from notes_newest;
-- @exploit
select newest from notes_newest where newest like '%B-secret%';
