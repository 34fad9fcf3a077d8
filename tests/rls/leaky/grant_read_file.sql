-- What: The application may call pg_read_binary_file.
-- Class: role_runs_programs
-- Object: app_user
-- Exploit: Read the table's file.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
grant execute on function pg_read_binary_file(text) to app_user;
grant execute on function pg_ls_dir(text) to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function pg_read_binary_file(text) from app_user;
revoke execute on function pg_ls_dir(text) from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select 1 where length(pg_read_binary_file(pg_relation_filepath('items'))) is not null;
