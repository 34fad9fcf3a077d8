-- What: Functions with definer's rights whose statements are put together, safely quoted and all: what they say is not known before they run.
--   One shows an order by its number, one marks it as paid.
-- Class: function_definer
-- Object: public.order_sheet(bigint) | public.pay_order(bigint)
-- Exploit: Numbers of B's orders.
-- @superuser
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null,
  paid boolean not null default false);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create function order_sheet(p_id bigint) returns text language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
declare v_out text := ''; r record;
begin
  for r in execute format('select body from public.%I where id = %L', 'orders', p_id) loop v_out := v_out || r.body || '; '; end loop;
  return v_out;
end $$;
create function pay_order(p_id bigint) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  execute format('update public.%I set paid = true where id = %L', 'orders', p_id);
end $$;
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function order_sheet(bigint) security invoker;
alter function pay_order(bigint) security invoker;
-- @control
select from order_sheet(1) s where s like '%A-row%';
-- @exploit
select pay_order(2);
select from order_sheet(2) s where s like '%B-secret%';
-- @look
select from orders where tenant_id = :'B' and paid;
