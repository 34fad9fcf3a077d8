-- What: Beside the tenant a policy asks for dates, numerics and documents.
-- Exploit: none: all of it is asked besides the tenant.
-- Column: org_id
-- Setting: app.org
-- A: 21
-- B: 22
-- @schema
create table invoices (id bigint generated always as identity primary key, org_id int not null, total numeric not null default 0,
  created_at timestamptz not null default now(), meta jsonb not null default '{}', body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (org_id = nullif(current_setting('app.org', true), '')::int
  and (created_at > now() - interval '7 years' or total < 0.5 or meta ->> 'kept' = 'true' or extract(year from created_at) = 1999));
grant select, insert, update, delete on invoices to app_user;
-- @rows
insert into invoices (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from invoices where body = 'A-row';
-- @attack
select from invoices where body like '%B-secret%';
