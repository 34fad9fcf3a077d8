-- What: The database's sessions begin with row_security = off, and print names in quotes: neither changes a policy.
-- Exploit: With it off the queries fail, and on they give the tenant's rows.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on items to app_user;
do $$ begin
  execute format('alter database %I set row_security = off', current_database());
  execute format('alter database %I set quote_all_identifiers = on', current_database());
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
set row_security = on;
select from items where tenant_id = :'A';
-- @attack
set row_security = on;
select body from items where body = 'B-secret';
