-- What: Tenants of the platform's own see everything: a word in a row of theirs says that they are one, and each may write it.
-- Class: policy_lookup_writable
-- Object: public.tickets | public.accounts
-- Exploit: UPDATE the own row's kind.
-- Source: "update own profile" policies over the column that also holds the role
-- @schema
create table accounts (tenant_id uuid primary key, kind text not null default 'customer', title text);
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table accounts enable row level security;
alter table accounts force row level security;
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on accounts using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true) or exists (select from accounts a
  where a.tenant_id::text = current_setting('app.tenant_id', true) and a.kind = 'staff'));
grant select, update on accounts to app_user;
grant select, insert, update, delete on tickets to app_user;
-- @rows
insert into accounts (tenant_id) values (:'A'), (:'B');
insert into tickets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke update on accounts from app_user;
grant update (title) on accounts to app_user;
-- @control
select from tickets where tenant_id = :'A';
-- @exploit
update accounts set kind = 'staff';
select body from tickets where body = 'B-secret';
