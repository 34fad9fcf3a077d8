-- What: Row-level security without any policy denies everything: a table for the workers alone, to which the application has grants it
--   cannot use.
-- Class: rls_no_policy
-- Object: public.job_locks
-- Severity: note
-- Exploit: Nothing is visible, nothing can be written.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
create table job_locks (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table job_locks enable row level security;
alter table job_locks force row level security;
grant select, insert, update, delete on items, job_locks to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
insert into job_locks (tenant_id, body) values (:'A', 'A-lock'), (:'B', 'B-secret');
-- @control
select from items;
-- @attack
insert into job_locks (tenant_id, body) values (:'B', 'planted');
delete from job_locks;
select from job_locks;
