-- What: History by trigger, with the tenant column and without policies: "only the trigger writes there".
-- Class: trigger_copies|rls_missing
-- Object: history.prices
-- Exploit: SELECT from the history, which the application shows on a page.
-- A: 1
-- B: 2
-- @schema
create schema history;
grant usage on schema history to app_user;
create table prices (sku text, tenant_id int not null, price numeric not null, primary key (tenant_id, sku));
alter table prices enable row level security;
alter table prices force row level security;
create policy tenant on prices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
create table history.prices (at timestamptz not null default now(), sku text, tenant_id int not null, price numeric not null);
create function keep_price() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into history.prices (sku, tenant_id, price) values (new.sku, new.tenant_id, new.price);
  return null;
end $$;
create trigger keep after insert or update on prices for each row execute function keep_price();
grant select, insert, update, delete on prices to app_user;
grant select on history.prices to app_user;
-- @rows
insert into prices values ('x', :'A', 10), ('x', :'B', 99);
-- @fix
alter table history.prices enable row level security;
alter table history.prices force row level security;
create policy tenant on history.prices for select using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
create policy keep on history.prices for insert to app_owner with check (true);
-- @control
select from prices where tenant_id = :'A';
-- @exploit
select price from history.prices where tenant_id = :'B' and price = 99;
