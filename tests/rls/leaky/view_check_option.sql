-- What: A barrier view that filters, and does not check what is written through it.
-- Class: view_owner_rights|cross_tenant_leak
-- Object: public.mine
-- Exploit: INSERT a row of B's through the view.
-- Refused: 44000
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create view mine with (security_barrier = true) as
  select id, tenant_id, body from items where tenant_id::text = current_setting('app.tenant_id', true);
grant select, insert, update, delete on mine to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view mine set (check_option = local);
-- @control
select from items where tenant_id = :'A';
-- @exploit
insert into mine (tenant_id, body) values (:'B', 'planted');
-- @look
select 1 from items where tenant_id = :'B' and body <> 'B-secret';
