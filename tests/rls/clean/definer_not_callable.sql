-- What: A definer function for the workers: EXECUTE is revoked from PUBLIC.
-- Exploit: Call it.
-- Roles: not_callable_worker
-- @superuser
create role not_callable_worker;
create table jobs (id bigint generated always as identity primary key, tenant_id uuid not null, payload text not null);
alter table jobs enable row level security;
alter table jobs force row level security;
create policy tenant on jobs using (tenant_id::text = current_setting('app.tenant_id', true));
create function next_job() returns setof jobs language sql security definer set search_path = pg_catalog, pg_temp
  as $$ select * from public.jobs order by id limit 1 for update skip locked $$;
revoke execute on function next_job() from public;
grant execute on function next_job() to not_callable_worker;
grant select, insert, update, delete on jobs to app_user;
-- @rows
insert into jobs (tenant_id, payload) values (:'B', 'B-secret'), (:'A', 'A-row');
-- @control
select from jobs where tenant_id = :'A';
-- @attack
select from next_job();
