-- What: The same flag, two functions deep: has_org_access(org_id) asks is_support().
-- Class: policy_escape_setting
-- Object: public.cases
-- Exploit: set app.role = 'support'.
-- Column: org_id
-- Setting: app.org_id
-- @schema
create function is_support() returns boolean language plpgsql stable as $$
begin
  return current_setting('app.role', true) = 'support';
end $$;
create function has_org_access(org uuid) returns boolean language sql stable
  as $$ select is_support() or org = nullif(current_setting('app.org_id', true), '')::pg_catalog.uuid $$;
create table cases (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table cases enable row level security;
alter table cases force row level security;
create policy org on cases using (has_org_access(org_id));
grant select, insert, update, delete on cases to app_user;
-- @rows
insert into cases (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function has_org_access(org uuid) returns boolean language sql stable
  as $$ select org = nullif(current_setting('app.org_id', true), '')::pg_catalog.uuid $$;
-- @control
select from cases where org_id = :'A';
-- @exploit
set app.role = 'support';
select body from cases where body = 'B-secret';
