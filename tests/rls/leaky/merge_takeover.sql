-- What: A stock list all tenants may read, a DELETE policy without a test: MERGE deletes what it matches.
-- Class: policy_always_true
-- Object: inventory.stock
-- Exploit: MERGE … WHEN MATCHED THEN DELETE over every tenant's rows.
-- A: 3
-- B: 4
-- Since: 15
-- @schema
create schema inventory;
grant usage on schema inventory to app_user;
create table inventory.stock (sku text, tenant_id int not null, amount int not null, primary key (tenant_id, sku));
alter table inventory.stock enable row level security;
alter table inventory.stock force row level security;
create policy r on inventory.stock for select using (true);
create policy d on inventory.stock for delete using (true);
create policy w on inventory.stock for insert with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
grant select, insert, delete on inventory.stock to app_user;
-- @rows
insert into inventory.stock values ('x', :'A', 1), ('x', :'B', 5);
-- @fix
alter policy r on inventory.stock using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
alter policy d on inventory.stock using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
-- @control
select from inventory.stock where tenant_id = :'A';
-- @exploit
merge into inventory.stock s using (values ('x')) v(sku) on s.sku = v.sku when matched then delete;
-- @look
select 'gone' where not exists (select from inventory.stock where tenant_id = :'B');
