-- What: Members are nobody's to read: a function with its owner's rights gives the caller's organisations, and the policy asks it.
-- Exploit: None: the function gives the caller's own, and the members cannot be written.
-- Source: Supabase's advice against recursion of policies
-- Setting: app.user_id
-- Config: fixtures = { ["public.members"] = "insert into public.members (user_id, tenant_id) values ({tenant}, {tenant})" }
-- @schema
create table members (user_id uuid not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create function my_tenants() returns setof uuid language sql stable security definer set search_path = public, pg_temp as
  $$ select tenant_id from members where user_id = nullif(current_setting('app.user_id', true), '')::uuid $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy member on items using (tenant_id in (select my_tenants()));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into members values (:'A', :'A'), (:'B', :'B');
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
