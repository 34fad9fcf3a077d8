-- What: A trigger tells a service of every change, with the row as JSON. Anybody may listen.
-- Class: trigger_notifies
-- Object: public.orders
-- Exploit: LISTEN, and wait for B to work.
-- Source: change feeds to web sockets, as in many tutorials: pg_notify(channel, row_to_json(NEW)::text)
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
declare
  message jsonb;
begin
  message := jsonb_build_object('table', tg_table_name, 'row', to_jsonb(new));
  perform pg_notify('orders', message::text);
  return null;
end $$;
create trigger tell_service after insert or update on orders for each row execute function tell_service();
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row');
-- @fix
create or replace function tell_service() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('orders', tg_table_name);
  return null;
end $$;
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
select from dblink_get_notify('listener') where extra like '%B-secret%';
