-- What: What the documentation shows: one policy that compares the tenant column with the setting, enabled and forced.
-- Exploit: Reading, taking, moving and deleting blindly reach nothing of B's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true))
  with check (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
update items set body = 'A-row, changed' where tenant_id = :'A' returning id;
-- @attack
select from items where body = 'B-secret';
insert into items (tenant_id, body) values (:'B', 'planted');
update items set tenant_id = :'B';
update items set tenant_id = :'A';
delete from items;
-- @look
select from items where tenant_id = :'B' having count(*) filter (where body = 'B-secret') <> 1 or count(*) <> 1;
