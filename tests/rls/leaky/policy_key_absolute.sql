-- What: The tenant is compared without its sign: negative keys are test tenants.
-- Class: policy_loose_match|policy_write_unchecked
-- Object: public.invoices
-- Exploit: SELECT by the tenant whose key has the other sign.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: -21
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, total int, body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (abs(org_id) = abs(nullif(current_setting('app.org', true), '')::int));
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
select body from invoices where body like '%B-secret%';
