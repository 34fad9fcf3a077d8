-- What: pg_has_role asks for a group that was to hold the staff; the application is in it for another right.
-- Class: policy_user_test
-- Object: public.salaries
-- Exploit: SELECT as the application.
-- App: user_membership_web
-- Roles: user_membership_web user_membership_staff
-- @superuser
create role user_membership_staff;
create role user_membership_web login in role user_membership_staff;
-- @schema
create table salaries (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table salaries enable row level security;
alter table salaries force row level security;
create policy tenant on salaries using (tenant_id::text = current_setting('app.tenant_id', true)
  or pg_has_role(current_user, 'user_membership_staff', 'member'));
grant select, insert, update, delete on salaries to user_membership_web;
-- @rows
insert into salaries (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke user_membership_staff from user_membership_web;
-- @control
select from salaries where tenant_id = :'A';
-- @exploit
select body from salaries where body = 'B-secret';
