-- What: Functions with their owner's rights read beside the own rows what belongs to those: by subqueries of the targets and of SET.
-- Exploit: None: the rows that the subqueries are asked for are the tenant's own.
-- @schema
create table orders (id bigint primary key, tenant_id uuid not null, total bigint not null default 0, unique (tenant_id, id));
create table lines (id bigint primary key, tenant_id uuid not null, order_id bigint not null, amount bigint not null, memo text not null,
  foreign key (tenant_id, order_id) references orders (tenant_id, id));
alter table orders enable row level security;
alter table orders force row level security;
alter table lines enable row level security;
alter table lines force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on lines using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on orders, lines to app_user;
-- @superuser
create function totals() returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  update public.orders o set total = (select l.amount from public.lines l where l.order_id = o.id and l.tenant_id = o.tenant_id limit 1)
   where o.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid $$;
create function memos() returns table (id bigint, memo text) language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return query select o.id, (select l.memo from public.lines l where l.order_id = o.id and l.tenant_id = o.tenant_id limit 1)
    from public.orders o where o.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid;
end $$;
-- @rows
insert into orders (id, tenant_id) values (1, :'A'), (2, :'B');
insert into lines values (1, :'A', 1, 5, 'A-row'), (2, :'B', 2, 7, 'B-secret');
-- @control
select from orders where tenant_id = :'A';
-- @attack
select totals();
select from memos() where memo = 'B-secret';
