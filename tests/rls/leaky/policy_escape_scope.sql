-- What: Two axes, organisation and partner, and a scope setting that chooses between them; "platform" is a third scope.
-- Class: policy_escape_setting
-- Object: public.contracts
-- Exploit: set app.scope = 'platform'.
-- Column: org_id
-- Setting: app.org_id
-- Session: app.scope = organization
-- Tenant: { { column = "org_id", setting = "app.org_id", context = { ["app.scope"] = "organization" } },
--   { column = "partner_id", setting = "app.partner_id", context = { ["app.scope"] = "partner" } } }
-- @schema
create table contracts (id bigint generated always as identity primary key, org_id uuid not null, partner_id uuid, body text not null);
alter table contracts enable row level security;
alter table contracts force row level security;
create policy axes on contracts using (case current_setting('app.scope', true)
  when 'organization' then org_id::text = current_setting('app.org_id', true)
  when 'partner' then partner_id::text = current_setting('app.partner_id', true)
  when 'platform' then true end);
grant select, insert, update, delete on contracts to app_user;
-- @rows
insert into contracts (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy axes on contracts using (case current_setting('app.scope', true)
  when 'organization' then org_id::text = current_setting('app.org_id', true)
  when 'partner' then partner_id::text = current_setting('app.partner_id', true) end);
-- @control
select from contracts where org_id = :'A';
-- @exploit
set app.scope = 'platform';
select body from contracts where body = 'B-secret';
