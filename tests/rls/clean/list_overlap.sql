-- What: A session of several tenants: its list is split, and a row's tenant has to be among them, asked with &&, @> and <@.
-- Exploit: None: the list holds A's alone, and whoever sets another is that tenant.
-- Setting: app.tenant_ids
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy r on items for select using (array[tenant_id::text] && string_to_array(current_setting('app.tenant_ids', true), ','));
create policy c on items for insert with check (string_to_array(current_setting('app.tenant_ids', true), ',') @> array[tenant_id::text]);
create policy u on items for update using (array[tenant_id::text] <@ string_to_array(current_setting('app.tenant_ids', true), ','));
create policy d on items for delete using (tenant_id::text = any (regexp_split_to_array(current_setting('app.tenant_ids', true), ',')));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
