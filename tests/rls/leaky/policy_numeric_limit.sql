-- What: Large invoices are open to all: a policy for the auditors that names no auditor.
-- Class: policy_leak|policy_precedence
-- Object: public.invoices
-- Exploit: SELECT: the row of another tenant is as large as that.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, total numeric not null default 0, body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int or total > 100000.5);
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, total, body) values (:'A', 1, 'A-row'), (:'B', 200000, 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
select body from invoices where body like '%B-secret%';
