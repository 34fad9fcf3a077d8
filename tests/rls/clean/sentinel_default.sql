-- What: Without a tenant the policy compares with the zero UUID, which a CHECK forbids as a tenant.
-- Exploit: RESET, then SELECT.
-- @schema
create table items (id bigint generated always as identity primary key, body text not null,
  tenant_id uuid not null check (tenant_id <> '00000000-0000-0000-0000-000000000000'));
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), ''),
  '00000000-0000-0000-0000-000000000000')::uuid);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
reset app.tenant_id;
select from items;
