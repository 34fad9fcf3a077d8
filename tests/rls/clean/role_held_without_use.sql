-- What: Two memberships that give nothing: neither INHERIT nor SET nor ADMIN. The one role has BYPASSRLS, the other owns the table.
-- Exploit: SET ROLE, and to grant itself what the memberships lack.
-- App: held_web
-- Roles: held_web held_ops
-- Since: 16
-- @superuser
create role held_ops bypassrls;
create role held_web login;
grant held_ops, app_owner to held_web with inherit false, set false, admin false;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to held_web, held_ops;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set role held_ops;
set role app_owner;
grant held_ops to held_web with set true;
grant app_owner to held_web with inherit true;
select body from items where body = 'B-secret';
