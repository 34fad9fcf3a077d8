-- What: A Supabase starter after the documentation of Basejump: users, accounts with members and invitations, and an application's tables
--   whose policies ask security-definer helpers. auth.uid() is as it was through PostgREST's change from one setting a claim to one JSON.
--   Right: accounts and their members, invitations for owners only, posts; helpers with qualified names and a pinned search path.
--   Wrong, each as teams ship it: a view without security_invoker; "authenticated may read" on files; a search function with definer's
--   rights; the legacy claim that comes first in auth.uid(); comments that anyone signed in may write under any post.
-- Source: usebasejump/basejump, supabase.com/docs/guides/auth/row-level-security, splinter 0010
-- Exploit: each in its own section
-- Column: account_id
-- Setting: request.jwt.claims
-- Value: {"sub": "{id}", "role": "authenticated"}
-- App: sb_authenticated
-- Roles: sb_authenticated sb_anon
-- Finds: policy_escape_setting public.posts | app.accounts | app.account_user | auth.uid();
--   view_owner_rights public.account_overview;
--   policy_always_true|policy_widens public.files;
--   function_definer public.search_posts(text);
--   policy_write_unchecked public.comments
-- Tenant: { column = "account_id", setting = "request.jwt.claims", value = '{"sub": "{id}", "role": "authenticated"}',
--   table = "app.accounts", key = "id" }
-- Config: fixtures = {
--   ["app.accounts"] = [[with u as (insert into auth.users (id, email)
--     values ({tenant}, {tenant} || '@canary.example') on conflict do nothing)
--     insert into app.accounts (id, primary_owner_user_id, name, slug) values ({tenant}, {tenant}, 'canary', {tenant})]],
--   ["app.account_user"] = [[with u as (insert into auth.users (id, email)
--     values ({tenant}, {tenant} || '@canary.example') on conflict do nothing)
--     insert into app.account_user (user_id, account_id, account_role) values ({tenant}, {tenant}, 'owner')]] },
--   shared = { "auth.users" }
-- FixSince: 15
-- @superuser
create role sb_anon nologin;
create role sb_authenticated login;
create schema auth;
create schema app;
create table auth.users (id uuid primary key default gen_random_uuid(), email text not null unique);
create function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
create function auth.role() returns text language sql stable
  as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;
grant usage on schema auth, app to sb_authenticated, sb_anon;

create type app.account_role as enum ('owner', 'member');
create table app.accounts (id uuid primary key default gen_random_uuid(), primary_owner_user_id uuid not null
  references auth.users default auth.uid(),
  name text, slug text unique, personal_account boolean not null default false, created_at timestamptz not null default now(),
  check (personal_account = (slug is null)));
create table app.account_user (user_id uuid not null references auth.users on delete cascade,
  account_id uuid not null references app.accounts on delete cascade, account_role app.account_role not null, primary key (user_id,
    account_id));
create table app.invitations (id uuid primary key default gen_random_uuid(), account_id uuid not null
  references app.accounts on delete cascade,
  account_role app.account_role not null, token text not null unique default md5(random()::text),
    created_at timestamptz not null default now());
alter table app.accounts enable row level security;
alter table app.account_user enable row level security;
alter table app.invitations enable row level security;

create function app.has_role_on_account(account_id uuid, account_role app.account_role default null) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from app.account_user u where u.user_id = auth.uid() and u.account_id = has_role_on_account.account_id
    and (has_role_on_account.account_role is null or u.account_role = has_role_on_account.account_role)) $$;
create function app.accounts_with_role(wanted app.account_role default null) returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.account_id from app.account_user u where u.user_id = auth.uid() and (wanted is null or u.account_role = wanted) $$;

create policy "own memberships" on app.account_user for select to sb_authenticated using (user_id = auth.uid());
create policy "teammates" on app.account_user for select to sb_authenticated using (app.has_role_on_account(account_id));
create policy "owners remove members" on app.account_user for delete to sb_authenticated using (app.has_role_on_account(account_id, 'owner')
  and user_id <> (select a.primary_owner_user_id from app.accounts a where a.id = account_user.account_id));
create policy "members see accounts" on app.accounts for select to sb_authenticated using (app.has_role_on_account(id));
create policy "owners edit accounts" on app.accounts for update to sb_authenticated using (app.has_role_on_account(id, 'owner'));
create policy "owners invite" on app.invitations to sb_authenticated using (app.has_role_on_account(account_id, 'owner'));
grant select on app.accounts, app.account_user to sb_authenticated;
grant update (name, slug) on app.accounts to sb_authenticated;
grant delete on app.account_user to sb_authenticated;
grant select, insert, delete on app.invitations to sb_authenticated;

create table public.posts (id uuid primary key default gen_random_uuid(), account_id uuid not null references app.accounts,
  title text not null);
create table public.comments (id uuid primary key default gen_random_uuid(), post_id uuid not null references public.posts,
  body text not null);
create table public.files (id uuid primary key default gen_random_uuid(), account_id uuid not null references app.accounts,
  path text not null);
alter table public.posts enable row level security;
alter table public.comments enable row level security;
alter table public.files enable row level security;
create policy "members work on posts" on public.posts to sb_authenticated using (account_id in (select app.accounts_with_role()));
create policy "comments of posts" on public.comments for select to sb_authenticated using (exists (select from public.posts p
  where p.id = comments.post_id));
create policy "signed in may comment" on public.comments for insert to sb_authenticated with check (auth.uid() is not null);
create policy "read for authenticated" on public.files for select to sb_authenticated using (auth.role() = 'authenticated');
create policy "members upload" on public.files for insert to sb_authenticated with check (app.has_role_on_account(account_id));
grant select, insert, update, delete on public.posts to sb_authenticated;
grant select, insert on public.comments, public.files to sb_authenticated;
create view public.account_overview as select a.id, a.name, count(p.id) as posts, string_agg(p.title, ', ') as titles
  from app.accounts a left join public.posts p on p.account_id = a.id group by a.id, a.name;
grant select on public.account_overview to sb_authenticated;
create function public.search_posts(words text) returns setof public.posts language sql stable security definer
  set search_path = pg_catalog, pg_temp as $$ select * from public.posts p where p.title ilike '%' || words || '%' $$;
-- @rows
insert into auth.users values (:'A', 'a@example.org'), (:'B', 'b@example.org');
insert into app.accounts (id, primary_owner_user_id, name, slug) values (:'A', :'A', 'A', 'a'), (:'B', :'B', 'B', 'b');
insert into app.account_user values (:'A', :'A', 'owner'), (:'B', :'B', 'owner');
insert into app.invitations (account_id, account_role, token) values (:'A', 'member', 'A-token'), (:'B', 'member', 'B-secret');
insert into public.posts values ('00000000-0000-4000-8000-00000000000a', :'A', 'A-row'),
  ('00000000-0000-4000-8000-00000000000b', :'B', 'B-secret');
insert into public.comments (post_id, body) select id, title from public.posts;
insert into public.files (account_id, path) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'sub')::pg_catalog.uuid $$;
alter view public.account_overview set (security_invoker = true);
drop policy "read for authenticated" on public.files;
create policy "members read" on public.files for select to sb_authenticated using (app.has_role_on_account(account_id));
alter function public.search_posts(text) security invoker;
alter policy "signed in may comment" on public.comments with check (exists (select from public.posts p where p.id = comments.post_id));
-- @control
select from public.posts p join app.accounts a on a.id = p.account_id join public.comments c on c.post_id = p.id where a.id = :'A';
-- @exploit
set request.jwt.claim.sub = :'B';
select title from public.posts where title = 'B-secret';
-- @exploit
select titles from public.account_overview where titles like '%B-secret%';
-- @exploit
select path from public.files where path = 'B-secret';
-- @exploit
select title from public.search_posts('secret') where title = 'B-secret';
-- @exploit
insert into public.comments (post_id, body) values ('00000000-0000-4000-8000-00000000000b', 'planted');
-- @look
select from public.comments where post_id = '00000000-0000-4000-8000-00000000000b' and body = 'planted';
-- @attack
select from app.invitations where token = 'B-secret';
insert into app.account_user values (:'A', :'B', 'owner');
update app.accounts set name = 'taken' where id = :'B';
select from app.accounts where id = :'B';
