-- What: Tenant codes in a domain over citext: unique without case, and compared without case.
-- Exploit: acme is ACME by design; globex is not.
-- A: acme
-- B: globex
-- @superuser
create extension citext;
create domain tenant_code as citext check (value ~ '^[a-z][a-z0-9-]*$');
-- @schema
create table tenants (code tenant_code primary key);
create table pages (id bigint generated always as identity primary key, tenant_id tenant_code not null references tenants,
  body text not null);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy self on tenants using (code = current_setting('app.tenant_id', true)::citext);
alter table pages enable row level security;
alter table pages force row level security;
create policy tenant on pages using (tenant_id = current_setting('app.tenant_id', true)::citext);
grant select on tenants to app_user;
grant select, insert, update, delete on pages to app_user;
-- @rows
insert into tenants values (:'A'), (:'B');
insert into pages (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from pages where tenant_id = 'ACME'::citext;
-- @attack
select body from pages where body = 'B-secret';
