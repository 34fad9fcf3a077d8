-- What: Usage records come as a foreign table over a file; foreign tables take no row-level security.
-- Class: foreign_table
-- Object: public.usage_import
-- Exploit: SELECT from it.
-- @superuser
create extension file_fdw;
create server files foreign data wrapper file_fdw;
create foreign table usage_import (tenant_id uuid, body text) server files options (format 'csv',
  program 'printf "aaaaaaaa-0000-4000-8000-000000000001,A-row\nbbbbbbbb-0000-4000-8000-000000000002,B-secret\n"');
grant select on usage_import to app_user;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
revoke select on usage_import from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from usage_import where body = 'B-secret';
