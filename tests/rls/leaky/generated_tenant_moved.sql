-- What: The tenant's column is generated and nobody may set it: the check of UPDATE was left out. What it is made of may be set.
-- Class: policy_write_unchecked
-- Object: public.items
-- Exploit: UPDATE the document of an own row, which then is B's.
-- @schema
create table items (id bigint generated always as identity primary key, meta jsonb not null, body text not null,
  tenant_id text not null generated always as (meta ->> 'tenant') stored);
alter table items enable row level security;
alter table items force row level security;
create policy r on items for select using (tenant_id = current_setting('app.tenant_id', true));
create policy c on items for insert with check (tenant_id = current_setting('app.tenant_id', true));
create policy u on items for update using (tenant_id = current_setting('app.tenant_id', true)) with check (true);
create policy d on items for delete using (tenant_id = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (meta, body) values (jsonb_build_object('tenant', :'A'), 'A-row'), (jsonb_build_object('tenant', :'B'), 'B-secret');
-- @fix
drop policy u on items;
create policy u on items for update using (tenant_id = current_setting('app.tenant_id', true));
-- @control
select from items where tenant_id = :'A';
-- @exploit
update items set meta = jsonb_build_object('tenant', :'B'), body = 'planted';
-- @look
select 1 from items where tenant_id = :'B' and body = 'planted';
