-- What: A trigger tells whoever listens which row of which tenant was changed, and no more.
-- Class: trigger_notifies
-- Object: public.orders
-- Exploit: LISTEN tells when B works, and on how many rows.
-- @superuser
create extension dblink schema public;
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
-- @superuser
create function tell_service() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('orders', json_build_object('id', new.id, 'tenant', new.tenant_id)::text);
  return null;
end $$;
create trigger tell_service after insert or update on orders for each row execute function tell_service();
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row');
-- @control
select from orders where tenant_id = :'A';
-- @look
select dblink_connect('listener', format('dbname=%L user=app_user host=%L port=%L', current_database(),
  split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port')));
-- @look
select * from dblink('listener', 'listen orders') l(said text);
-- @tenant_b
insert into orders (tenant_id, body) values (:'B', 'B-secret');
-- @look
select * from dblink('listener', 'select 1') round_trip(said int);
-- @look
select from dblink_get_notify('listener') where extra like '%' || :'B' || '%';
