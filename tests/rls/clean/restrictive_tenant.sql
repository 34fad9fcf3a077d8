-- What: Permissive policies say who may do what, one restrictive policy for all commands and everybody says whose rows.
-- Exploit: Every command, blindly.
-- @schema
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
alter table files enable row level security;
alter table files force row level security;
create policy tenant on files as restrictive using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy anyone on files using (true) with check (true);
grant select, insert, update, delete on files to app_user;
-- @rows
insert into files (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
update files set name = 'A-new' where tenant_id = :'A' returning id;
-- @attack
insert into files (tenant_id, name) values (:'B', 'planted');
update files set tenant_id = :'B';
delete from files;
-- @look
select from files where tenant_id = :'B' having count(*) <> 1;
