-- What: FORCE binds the owner, and a policy of the owner's own lets it see all: a view of his reads everything.
-- Class: view_owner_rights
-- Object: public.v_items
-- Exploit: Read through it as tenant A.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create policy maintenance on items to app_owner using (true);
create view v_items as select id, body from items;
grant select on v_items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view v_items set (security_invoker = true);
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from v_items t where body = 'B-secret';
