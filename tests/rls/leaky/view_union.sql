-- What: A view of the tenant's notes and of templates, which it claims to be the tenant's: any tenant's note may be a template.
-- Class: view_owner_rights
-- Object: public.notes_and_templates
-- Exploit: SELECT from the view with tenant A.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, kind text not null, body text not null);
alter table notes enable row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on notes to app_user;
create view notes_and_templates with (security_barrier) as select id, body from (
  select id, tenant_id::text as tenant, body from notes
  union all select id, current_setting('app.tenant_id', true), body from notes where kind = 'template') s
  where tenant = current_setting('app.tenant_id', true);
grant select on notes_and_templates to app_user;
-- @rows
insert into notes (tenant_id, kind, body) values (:'B', 'template', 'B-secret'), (:'A', 'note', 'A-row');
-- @fix
create or replace view notes_and_templates with (security_barrier) as select id, body from (
  select id, tenant_id::text as tenant, body from notes
  union all select id, tenant_id::text, upper(body) from notes where kind = 'template') s
  where tenant = current_setting('app.tenant_id', true);
-- @control
select from notes_and_templates;
-- @exploit
select body from notes_and_templates where body like '%B-secret%';
