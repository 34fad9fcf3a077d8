-- What: The policy names whom it binds, the old login; the new one is not bound.
-- Class: policy_user_test
-- Object: public.jobs
-- Exploit: SELECT as the application.
-- @schema
create table jobs (id bigint generated always as identity primary key, tenant_id uuid not null, payload text not null);
alter table jobs enable row level security;
alter table jobs force row level security;
create policy tenant on jobs using (current_user <> 'webapp' or tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on jobs to app_user;
-- @rows
insert into jobs (tenant_id, payload) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on jobs using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from jobs where tenant_id = :'A';
-- @exploit
select payload from jobs where payload = 'B-secret';
