-- What: Documents are shown by the folder they lie in, to whoever has it. Keys are unique over all tenants, and what a tenant may rename of
--   a folder is its title.
-- Exploit: To give an own folder the key of B's, or to make one.
-- @schema
create table folders (tenant_id uuid not null, key text primary key, title text not null);
create table documents (id bigint generated always as identity primary key, tenant_id uuid not null,
  folder_key text not null references folders, body text not null);
alter table folders enable row level security;
alter table folders force row level security;
alter table documents enable row level security;
alter table documents force row level security;
create policy tenant on folders using (tenant_id::text = current_setting('app.tenant_id', true));
create policy by_folder on documents for select using (exists (select from folders f where f.key = documents.folder_key
  and f.tenant_id::text = current_setting('app.tenant_id', true)));
grant select on documents to app_user;
grant select, update (title) on folders to app_user;
-- @rows
insert into folders values ('aaaaaaaa-0000-4000-8000-000000000001', 'a', 'A'), ('bbbbbbbb-0000-4000-8000-000000000002', 'b', 'B');
insert into documents (tenant_id, folder_key, body) values (:'A', 'a', 'A-row'), (:'B', 'b', 'B-secret');
-- @control
select from documents where tenant_id = :'A';
-- @attack
update folders set title = 'b' where key = 'a';
update folders set key = 'b' where key = 'a';
insert into folders values (:'A', 'c', 'C');
select body from documents where body = 'B-secret';
