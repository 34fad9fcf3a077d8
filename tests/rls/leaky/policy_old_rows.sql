-- What: Old invoices are open to all: the archive of a reporting tool.
-- Class: policy_leak|policy_precedence
-- Object: public.invoices
-- Exploit: SELECT: the row of another tenant is as old as that.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, created_at timestamptz not null default now(), body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int or created_at < now() - interval '7 years');
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, created_at, body) values (:'A', now(), 'A-row'), (:'B', '2001-01-01', 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
select body from invoices where body like '%B-secret%';
