-- What: The view belongs to the tables' owner, whom nothing binds without FORCE.
-- Class: view_owner_rights|rls_not_forced
-- Object: public.open_tasks | public.tasks
-- Exploit: SELECT from the view.
-- @schema
create table tasks (id bigint generated always as identity primary key, tenant_id uuid not null, title text not null,
  done boolean not null default false);
alter table tasks enable row level security;
create policy tenant on tasks using (tenant_id::text = current_setting('app.tenant_id', true));
create view open_tasks as select id, title from tasks where not done;
grant select, insert, update, delete on tasks to app_user;
grant select on open_tasks to app_user;
-- @rows
insert into tasks (tenant_id, title) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter table tasks force row level security;
-- @control
select from open_tasks where title = 'A-row';
-- @exploit
select title from open_tasks where title = 'B-secret';
