-- What: A foreign table that is not granted, loaded by a job into a table with policies.
-- Exploit: SELECT from the foreign table.
-- @superuser
create extension file_fdw;
create server files foreign data wrapper file_fdw;
create foreign table usage_import (tenant_id uuid, body text) server files options (format 'csv',
  program 'printf "aaaaaaaa-0000-4000-8000-000000000001,A-row\nbbbbbbbb-0000-4000-8000-000000000002,B-secret\n"');
-- @schema
create table usage (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table usage enable row level security;
alter table usage force row level security;
create policy tenant on usage using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on usage to app_user;
-- @rows
insert into usage (tenant_id, body) select * from usage_import;
-- @control
select from usage where tenant_id = :'A';
-- @attack
select from usage where body = 'B-secret';
select from usage_import;
