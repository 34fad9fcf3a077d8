-- What: The tenant stands in a token's claims, two levels deep: read with -> and ->>, with #>>, by a function, and by a helper.
-- Exploit: None.
-- Source: Supabase: auth.jwt() -> 'app_metadata' ->> 'tenant_id'
-- Setting: request.jwt.claims
-- Value: {"sub": "x", "app_metadata": {"tenant_id": "{id}", "plan": "free"}}
-- @schema
create schema auth;
grant usage on schema auth to app_user;
create function auth.jwt() returns jsonb language sql stable set search_path = pg_catalog, pg_temp
  as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy r on items for select using (tenant_id = ((select auth.jwt()) -> 'app_metadata' ->> 'tenant_id')::uuid);
create policy c on items for insert with check (
  tenant_id::text = current_setting('request.jwt.claims', true)::jsonb #>> '{app_metadata,tenant_id}');
create policy u on items for update using (
  tenant_id::text = current_setting('request.jwt.claims', true)::json -> 'app_metadata' ->> 'tenant_id');
create policy d on items for delete using (
  tenant_id::text = jsonb_extract_path_text(current_setting('request.jwt.claims', true)::jsonb, 'app_metadata', 'tenant_id'));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select body from items where body = 'B-secret';
