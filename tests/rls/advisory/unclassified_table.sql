-- What: A table without the tenant column and without a way to it, which the application may read and write: nobody said whose it is.
-- Class: unclassified_table
-- Object: public.exchange_rates
-- Exploit: What tenant B writes tenant A reads; that may be meant.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
create table exchange_rates (code text primary key, rate numeric not null);
grant select, insert, update, delete on items, exchange_rates to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
insert into exchange_rates values ('X', 42);
-- @fix
revoke all on exchange_rates from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select rate from exchange_rates where code = 'X';
