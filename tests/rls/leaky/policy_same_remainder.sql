-- What: The policy compares parts of the tenant's number: those that are the same in a mask.
-- Class: policy_leak
-- Object: public.items
-- Exploit: Read the table as a tenant whose number has the same low bits.
-- A: 3
-- B: 65539
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id int not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using ((tenant_id & 65535) = (nullif(current_setting('app.tenant_id', true), '')::int & 65535));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy tenant on items;
create policy tenant on items using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
