-- What: CASE keeps the cast from an empty setting, as guides show it; ELSE says the same as the equality.
-- Exploit: RESET, an empty one, a new connection.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (case when current_setting('app.tenant_id', true) = '' then false
  else tenant_id = current_setting('app.tenant_id', true)::uuid end);
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
reset app.tenant_id;
select from items;
-- @reconnect
select from items;
