-- What: Whose a row is stands in its document: the tenant's column is generated.
-- Exploit: None: a new row's generated column is looked at like any other.
-- @schema
create table items (id bigint generated always as identity primary key, meta jsonb not null, body text not null,
  tenant_id text not null generated always as (meta ->> 'tenant') stored);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (meta, body) values (jsonb_build_object('tenant', :'A'), 'A-row'), (jsonb_build_object('tenant', :'B'), 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
