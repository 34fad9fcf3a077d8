-- What: CASE without a tenant ends in true, so that seed scripts work.
-- Class: policy_unset_tenant|policy_empty_tenant
-- Object: billing.plans
-- Exploit: A new connection, then SELECT.
-- Column: account_id
-- Setting: app.account
-- A: 7
-- B: 8
-- @schema
create schema billing;
grant usage on schema billing to app_user;
create table billing.plans (id bigint generated always as identity primary key, account_id bigint not null, terms text not null);
alter table billing.plans enable row level security;
alter table billing.plans force row level security;
create policy account on billing.plans using (
  case when coalesce(current_setting('app.account', true),
    '') <> '' then account_id = current_setting('app.account')::bigint else true end);
grant select, insert, update, delete on billing.plans to app_user;
-- @rows
insert into billing.plans (account_id, terms) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy account on billing.plans using (
  case when coalesce(current_setting('app.account', true),
    '') <> '' then account_id = current_setting('app.account')::bigint else false end);
-- @control
select from billing.plans where account_id = :'A';
-- @reconnect
select terms from billing.plans where terms = 'B-secret';
