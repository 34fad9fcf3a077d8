-- What: A simple view with its owner's rights can be written through: the application may update it, and so lock what it shows.
-- Class: view_owner_rights
-- Object: public.seat_status
-- Exploit: SELECT … FOR UPDATE locks tenant B's rows, and shows them.
-- FixSince: 15
-- @superuser
create table seats (id int primary key, tenant_id uuid not null, taken boolean not null default false);
alter table seats enable row level security;
alter table seats force row level security;
create policy tenant on seats using (tenant_id::text = current_setting('app.tenant_id', true));
create view seat_status as select id, taken from seats;
grant select, insert, update, delete on seats to app_user;
grant select, update on seat_status to app_user;
-- @rows
insert into seats values (1, :'A'), (2, :'B');
-- @fix
alter view seat_status set (security_invoker = true);
-- @control
select from seat_status where id = 1;
-- @exploit
select id from seat_status where id = 2 for update;
