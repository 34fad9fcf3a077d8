-- What: Beside the tenant a policy asks for dates, numerics and documents, and one compares the key as another type.
-- Exploit: none: all of it is asked besides the tenant; the key is the same number whatever its type is.
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
create table receipts (id bigint generated always as identity primary key, org_id int not null, body text not null);
alter table receipts enable row level security;
alter table receipts force row level security;
create policy tenant on receipts using (org_id * 2.0 = nullif(current_setting('app.org', true), '')::numeric * 2.0);
grant select, insert, update, delete on invoices, receipts to app_user;
-- @rows
insert into invoices (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into receipts (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from invoices i join receipts r using (body) where body = 'A-row';
-- @attack
select from (select body from invoices union all select body from receipts) x where body like '%B-secret%';
