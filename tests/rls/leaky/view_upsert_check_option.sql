-- What: The view tests the tenant, is a barrier and checks what is written; the key of its table says nothing of the tenant.
-- Class: view_owner_rights
-- Object: public.mine
-- Exploit: INSERT … ON CONFLICT meets another tenant's row by its key and makes it one of the own, which the check lets through.
-- Closed: 14.25, 15.20, 16.16, 17.12, 18.7
-- Refused: 55000
-- @schema
create table invoices (id int primary key, tenant_id uuid not null, number text);
alter table invoices enable row level security;
create policy tenant on invoices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create view mine with (security_barrier, check_option = cascaded) as
  select * from invoices where tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid;
grant select, insert, update on mine to app_user;
-- @rows
insert into invoices values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @fix
revoke insert on mine from app_user;
-- @control
select from mine where tenant_id = :'A';
-- @exploit
insert into mine values (2, :'A', 'x') on conflict (id) do update set tenant_id = excluded.tenant_id;
select from mine where number = 'B-secret';
