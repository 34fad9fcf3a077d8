-- What: Default privileges of the usual four rights; sequences by identity; a schema in which nobody but the owner creates.
-- Exploit: TRUNCATE, a trigger, a foreign key.
-- @schema
create schema shop;
grant usage on schema shop to app_user;
alter default privileges in schema shop grant select, insert, update, delete on tables to app_user;
create table shop.orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table shop.orders enable row level security;
alter table shop.orders force row level security;
create policy tenant on shop.orders using (tenant_id::text = current_setting('app.tenant_id', true));
-- @rows
insert into shop.orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from shop.orders where tenant_id = :'A';
-- @attack
truncate shop.orders;
create function pg_temp.take() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger take before insert on shop.orders for each row execute function pg_temp.take();
create table shop.ask (id bigint references shop.orders);
-- @look
select from shop.orders where tenant_id = :'B' having count(*) <> 1;
