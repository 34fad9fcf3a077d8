-- What: The membership test of a Supabase schema: a definer function, to get around recursion, that asks about the session's user only.
-- Exploit: Ask for tenant B's organisation.
-- Column: org_id
-- Setting: request.jwt.claims
-- Value: {"sub": "{id}"}
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (org_id, user_id) values ({tenant}, {tenant})" }
-- @superuser
create schema auth;
grant usage on schema auth to app_user;
create function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
create table memberships (org_id uuid not null, user_id uuid not null, primary key (org_id, user_id));
create table documents (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table memberships enable row level security;
alter table memberships force row level security;
alter table documents enable row level security;
alter table documents force row level security;
create function is_member(p_org uuid) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select exists (select from public.memberships m where m.org_id = p_org and m.user_id = auth.uid()) $$;
create policy member on memberships for select using (is_member(org_id));
create policy member on documents using (is_member(org_id)) with check (is_member(org_id));
grant select on memberships to app_user;
grant select, insert, update, delete on documents to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into documents (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from documents where org_id = :'A';
-- @attack
insert into memberships values (:'B', :'A');
select body from documents where body = 'B-secret';
