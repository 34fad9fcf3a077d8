-- Roles, schemas and what everybody may do by default.
--
-- The migrations run once, as the superuser, in file order, each in one transaction, in a fresh cluster's database:
--     psql -X -v ON_ERROR_STOP=1 -1 -f 001_roles.sql …
--
--   platform_owner   owns every object; nobody logs in as it
--   platform_admin   the operator: tenants, keys, settings and, as a member of the owner, recovery DDL; no superuser
--   app_user         the application: no superuser, no BYPASSRLS, owns nothing, is a member of nothing

create role platform_owner nologin nosuperuser nobypassrls nocreatedb nocreaterole;
create role platform_admin login nosuperuser nobypassrls nocreatedb nocreaterole inherit;
create role app_user login nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
grant platform_owner to platform_admin;

do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to app_user, platform_admin', current_database());
  execute format('grant temporary on database %I to platform_admin', current_database());
end
$$;

create schema core authorization platform_owner;
create schema platform authorization platform_owner;
alter schema public owner to platform_owner;
revoke all on schema public from public;
grant usage on schema public, core, platform to app_user;

-- In public, so that gen_random_bytes is found on the default search_path, as the onboarding INSERT expects.
create extension pgcrypto schema public;

-- Functions are callable by PUBLIC unless told otherwise: here each grant is stated.
alter default privileges for role platform_owner revoke execute on functions from public;
alter default privileges revoke execute on functions from public;
