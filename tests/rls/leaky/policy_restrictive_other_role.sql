-- What: The restrictive tenant policy is TO the reporting role; for the application the permissive one stands alone.
-- Class: policy_always_true|policy_widens
-- Object: public.sales
-- Exploit: SELECT as the application.
-- Roles: restrictive_reporting
-- @superuser
create role restrictive_reporting;
-- @schema
create table sales (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table sales enable row level security;
alter table sales force row level security;
create policy base on sales using (true);
create policy tenant on sales as restrictive to restrictive_reporting using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on sales to app_user;
-- @rows
insert into sales (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on sales to public;
-- @control
select from sales where tenant_id = :'A';
-- @exploit
select body from sales where body = 'B-secret';
