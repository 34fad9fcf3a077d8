-- What: Documents are shown by the folder they lie in, to whoever has a folder of that key. A tenant may rename its folders, keys and all,
--   and keys are unique within the tenant only.
-- Class: policy_lookup_writable
-- Object: public.documents | public.folders
-- Exploit: To give an own folder the key of B's.
-- @schema
create table folders (tenant_id uuid not null, key text not null, title text not null, primary key (tenant_id, key));
create table documents (id bigint generated always as identity primary key, tenant_id uuid not null, folder_key text not null,
  body text not null, foreign key (tenant_id, folder_key) references folders);
alter table folders enable row level security;
alter table folders force row level security;
alter table documents enable row level security;
alter table documents force row level security;
create policy tenant on folders using (tenant_id::text = current_setting('app.tenant_id', true));
create policy by_folder on documents for select using (exists (select from folders f where f.key = documents.folder_key
  and f.tenant_id::text = current_setting('app.tenant_id', true)));
grant select on documents to app_user;
grant select, update on folders to app_user;
-- @rows
insert into folders values (:'A', 'a', 'A'), (:'A', 'spare', 'A'), (:'B', 'b', 'B');
insert into documents (tenant_id, folder_key, body) values (:'A', 'a', 'A-row'), (:'B', 'b', 'B-secret');
-- @fix
alter policy by_folder on documents using (tenant_id::text = current_setting('app.tenant_id', true) and exists (select from folders f
  where f.key = documents.folder_key and f.tenant_id = documents.tenant_id));
-- @control
select from documents where tenant_id = :'A';
-- @exploit
update folders set key = 'b' where key = 'spare';
select body from documents where body = 'B-secret';
