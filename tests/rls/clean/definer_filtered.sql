-- What: SECURITY DEFINER by a superuser, with a safe search path, which filters by the session's tenant.
-- Exploit: Call it; shadow its table.
-- @superuser
create table members (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
alter table members enable row level security;
alter table members force row level security;
create policy tenant on members using (tenant_id::text = current_setting('app.tenant_id', true));
create function member_emails() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select m.email from public.members m where m.tenant_id::text = current_setting('app.tenant_id', true) $$;
grant select, insert, update, delete on members to app_user;
-- @rows
insert into members (tenant_id, email) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from member_emails() e where e = 'A-row';
-- @attack
create temporary table members (tenant_id uuid, email text);
select from member_emails() e where e = 'B-secret';
