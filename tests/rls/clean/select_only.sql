-- What: One policy, for SELECT; every other command is granted, has no policy, and is denied.
-- Exploit: INSERT, UPDATE and DELETE, blindly and for tenant B.
-- @schema
create table statements (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table statements enable row level security;
alter table statements force row level security;
create policy r on statements for select using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on statements to app_user;
-- @rows
insert into statements (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from statements where tenant_id = :'A';
-- @attack
insert into statements (tenant_id, body) values (:'B', 'planted');
update statements set tenant_id = :'A';
delete from statements;
-- @look
select from statements where tenant_id = :'B' having count(*) <> 1;
