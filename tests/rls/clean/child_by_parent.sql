-- What: Children without the tenant column, bound by their parent for reading and writing, two steps deep.
-- Exploit: Reading, and writing under tenant B's parent.
-- @schema
create table projects (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
create table tasks (id bigint generated always as identity primary key, project_id bigint not null
  references projects on delete cascade, title text not null);
create table comments (id bigint generated always as identity primary key, task_id bigint not null references tasks on delete cascade,
  body text not null);
alter table projects enable row level security;
alter table projects force row level security;
alter table tasks enable row level security;
alter table tasks force row level security;
alter table comments enable row level security;
alter table comments force row level security;
create policy tenant on projects using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy project on tasks using (exists (select from projects p where p.id = tasks.project_id));
create policy task on comments using (task_id in (select t.id from tasks t));
grant select, insert, update, delete on projects, tasks, comments to app_user;
-- @rows
insert into projects (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-row');
insert into tasks (project_id, title) select id, name from projects;
insert into comments (task_id, body) select id, title from tasks;
-- @control
select from comments where body = 'A-row';
-- @attack
insert into comments (task_id, body) values (2, 'planted');
insert into tasks (project_id, title) values (2, 'planted');
update tasks set project_id = 2;
-- @look
select from comments c where c.body = 'planted' union all select from tasks where title = 'planted' or (title = 'A-row' and project_id = 2);
