-- What: The tenant is compared by its tens: the last digit was meant to be the branch.
-- Class: policy_loose_match|policy_write_unchecked
-- Object: public.invoices
-- Exploit: SELECT: the next tenant is in the same ten.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, total int, body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id / 10 = (nullif(current_setting('app.org', true), '')::int) / 10);
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
select body from invoices where body like '%B-secret%';
