-- What: The context function looks the tenant up once a session and keeps it in a setting, which outlives the request.
-- Class: context_function_cached|policy_escape_setting
-- Object: public.orders | public.current_tenant()
-- Exploit: On a pooled connection tenant A still has what was kept for tenant B.
-- @schema
create function current_tenant() returns uuid language plpgsql stable as $$
begin
  if coalesce(current_setting('memo.tenant', true), '') = '' then
    perform set_config('memo.tenant', current_setting('app.tenant_id', true), false);
  end if;
  return nullif(current_setting('memo.tenant', true), '')::pg_catalog.uuid;
end $$;
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id = current_tenant());
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function current_tenant() returns uuid language sql stable
  as $$ select nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid $$;
-- @control
select from orders where tenant_id = :'A';
-- @pooled
select count(*) from orders;
-- @exploit
select body from orders where body = 'B-secret';
