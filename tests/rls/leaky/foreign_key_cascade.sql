-- What: Tags are shared and the application may delete them; ON DELETE CASCADE deletes every tenant's rows with them, unbound by policies.
-- Class: foreign_key_cascade
-- Object: public.tags | public.tagged
-- Exploit: DELETE FROM tags.
-- Config: shared = { "public.tags" }
-- @schema
create table tags (name text primary key);
create table tagged (id bigint generated always as identity primary key, tenant_id uuid not null, tag text not null
  references tags on delete cascade);
alter table tagged enable row level security;
alter table tagged force row level security;
create policy tenant on tagged using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, delete on tags to app_user;
grant select, insert, update, delete on tagged to app_user;
-- @rows
insert into tags values ('urgent');
insert into tagged (tenant_id, tag) values (:'A', 'urgent'), (:'B', 'urgent');
-- @fix
revoke delete on tags from app_user;
-- @control
select from tagged where tenant_id = :'A';
-- @exploit
delete from tags;
-- @look
select 'gone' where not exists (select from tagged where tenant_id = :'B');
