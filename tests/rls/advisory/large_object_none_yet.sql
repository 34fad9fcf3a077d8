-- What: Files are large objects, which the one role that all tenants share makes and owns; none is there yet.
-- Class: large_object
-- Object: public.files
-- Exploit: lo_get with any oid of pg_largeobject_metadata, as soon as another tenant has stored a file.
-- Refused: 42804
-- @schema
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, content oid);
alter table files enable row level security;
alter table files force row level security;
create policy tenant on files using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on files to app_user;
-- @rows
insert into files (tenant_id) values (:'A'), (:'B');
-- @fix
alter table files alter content type bytea using null;
-- @control
select from files where tenant_id = :'A';
-- @exploit
set local app.tenant_id = 'bbbbbbbb-0000-4000-8000-000000000002';
update files set content = lo_from_bytea(0, 'B-secret');
set local app.tenant_id = 'aaaaaaaa-0000-4000-8000-000000000001';
select from pg_largeobject_metadata m where lo_get(m.oid) = 'B-secret'::bytea;
