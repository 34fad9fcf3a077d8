-- What: The UPDATE policy has no WITH CHECK: PostgreSQL uses its USING for the new row as well.
-- Exploit: Moving a row to tenant B is refused.
-- @schema
create table tasks (id bigint generated always as identity primary key, tenant_id uuid not null, title text not null);
alter table tasks enable row level security;
alter table tasks force row level security;
create policy r on tasks for select using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy c on tasks for insert with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy u on tasks for update using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy d on tasks for delete using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on tasks to app_user;
-- @rows
insert into tasks (tenant_id, title) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
update tasks set title = 'done' where tenant_id = :'A' returning id;
-- @attack
update tasks set tenant_id = :'B';
-- @look
select from tasks where tenant_id = :'B' having count(*) <> 1;
