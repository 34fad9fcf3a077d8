-- What: REFERENCES, within GRANT ALL: who may create a table somewhere may hang a foreign key on it.
-- Class: grant_references
-- Object: public.orders
-- Exploit: A key of the attacker's own table asks for ids of other tenants' rows.
-- Refused: 42P01
-- @schema
create schema scratch;
grant usage, create on schema scratch to app_user;
create table orders (id int primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete, references on orders to app_user;
-- @rows
insert into orders values (1, :'A', 'A-row'), (2, :'B', 'B-row');
-- @fix
revoke references on orders from app_user;
-- @control
select from orders where tenant_id = :'A';
-- @exploit
create table scratch.ask (id int references public.orders);
insert into scratch.ask values (2);
select from scratch.ask where id = 2;
