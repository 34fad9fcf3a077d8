-- What: An organisation sees its rows, a partner those of the organisations it looks after: two settings, both the application's context.
-- Exploit: As organisation A, in any scope.
-- Column: org_id
-- Setting: app.org_id
-- Session: app.scope = organization
-- Tenant: { { column = "org_id", setting = "app.org_id", context = { ["app.scope"] = "organization" } },
--   { column = "partner_id", setting = "app.partner_id", context = { ["app.scope"] = "partner" } } }
-- @schema
create table contracts (id bigint generated always as identity primary key, org_id uuid not null, partner_id uuid not null,
  body text not null);
alter table contracts enable row level security;
alter table contracts force row level security;
create policy axes on contracts using (case current_setting('app.scope', true)
  when 'organization' then org_id::text = current_setting('app.org_id', true)
  when 'partner' then partner_id::text = current_setting('app.partner_id', true)
  else false end);
grant select, insert, update, delete on contracts to app_user;
-- @rows
insert into contracts (org_id, partner_id, body) values (:'A', gen_random_uuid(), 'A-row'), (:'B', gen_random_uuid(), 'B-secret');
-- @control
select from contracts where org_id = :'A';
-- @attack
set app.scope = 'platform';
select from contracts;
set app.scope = 'partner';
select from contracts;
