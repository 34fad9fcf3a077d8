-- What: current_tenant() is STABLE: a prepared statement asks it anew.
-- Exploit: On a pooled connection, the statement that was prepared for tenant B.
-- @schema
create function current_tenant() returns uuid language sql stable as $$ select nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid $$;
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id = (select current_tenant()));
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from orders where tenant_id = :'A';
-- @pooled
prepare secrets as select body from orders where body like '%secret%';
execute secrets;
-- @attack
execute secrets;
