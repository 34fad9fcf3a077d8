-- What: Device tokens are unique over all tenants, and a trigger takes an old registration away before the new one comes in, with the
--   rights of a superuser.
-- Class: trigger_copies|cross_tenant_leak|function_definer
-- Object: public.devices
-- Refused: 23505
-- Exploit: A plain INSERT of B's token takes B's device away.
-- @superuser
create table devices (token text primary key, tenant_id uuid not null, owner_mail text not null);
alter table devices enable row level security;
alter table devices force row level security;
create policy tenant on devices using (tenant_id::text = current_setting('app.tenant_id', true));
create function devices_move() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from public.devices d where d.token = new.token;
  return new;
end $$;
create trigger move before insert on devices for each row execute function devices_move();
grant select, insert on devices to app_user;
-- @rows
insert into devices values ('a', :'A', 'a@example.org'), ('b', :'B', 'b@example.org');
-- @fix
alter function devices_move() security invoker;
grant delete on devices to app_user;
-- @control
select from devices where tenant_id = :'A';
-- @exploit
insert into devices values ('b', :'A', 'a@example.org');
-- @look
select 'gone' where not exists (select from devices where tenant_id = :'B');
