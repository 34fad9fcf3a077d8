-- What: What is marked public in a document is open to all tenants.
-- Class: policy_leak|policy_precedence
-- Object: public.invoices
-- Exploit: SELECT: the row of another tenant has the mark.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, meta jsonb not null default '{}', body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int or meta ->> 'public' = 'true' or meta @> '{"shared": true}');
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, meta, body) values (:'A', '{}', 'A-row'), (:'B', '{"public": true}', 'B-secret');
-- @fix
alter policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
-- @control
select from invoices where body = 'A-row';
-- @exploit
select body from invoices where body like '%B-secret%';
