-- What: row_security = off and search_path are the session's to set: the first makes queries fail, the second changes no policy.
-- Exploit: Both, with a function and an operator of the attacker's own that shadow the policy's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
create function pg_temp.current_setting(text, boolean) returns text language sql as $$ select 'bbbbbbbb-0000-4000-8000-000000000002' $$;
set search_path = pg_temp, pg_catalog, public;
select from items where body = 'B-secret';
set row_security = off;
select from items where body = 'B-secret';
