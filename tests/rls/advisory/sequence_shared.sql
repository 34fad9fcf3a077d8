-- What: Invoice numbers come from one sequence that the application may read.
-- Class: sequence_shared
-- Object: public.invoices | public.invoice_no
-- Exploit: last_value tells how many invoices all the others have written since.
-- @schema
create sequence invoice_no;
create table invoices (no bigint primary key default nextval('invoice_no'), tenant_id uuid not null, body text not null);
alter table invoices enable row level security;
alter table invoices force row level security;
create policy tenant on invoices using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on invoices to app_user;
grant usage, select on sequence invoice_no to app_user;
-- @rows
insert into invoices (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
alter table invoices alter no drop default;
alter table invoices alter no add generated always as identity (start 1000);
revoke all on sequence invoice_no from app_user;
-- @control
select from invoices where tenant_id = :'A';
-- @exploit
select set_config('loot.before', last_value::text, false) from invoice_no;
-- @tenant_b
insert into invoices (tenant_id, body) values (:'B', 'B-next');
-- @exploit
select from invoice_no where last_value > current_setting('loot.before')::bigint;
