-- What: has_org_access(org_id), in SQL, over a list-valued setting; every policy of the schema calls it.
-- Exploit: Every command.
-- Column: org_id
-- Setting: app.org_ids
-- @schema
create schema app;
grant usage on schema app to app_user;
create function app.current_orgs() returns uuid[] language sql stable
  as $$ select coalesce(string_to_array(nullif(current_setting('app.org_ids', true), ''), ',')::pg_catalog.uuid[], '{}') $$;
create function app.has_org_access(p_org uuid) returns boolean language sql stable as $$ select p_org = any (app.current_orgs()) $$;
create table sites (id uuid primary key default gen_random_uuid(), org_id uuid not null, name text not null);
create table meters (id uuid primary key default gen_random_uuid(), org_id uuid not null, site_id uuid not null references sites,
  name text not null);
alter table sites enable row level security;
alter table sites force row level security;
alter table meters enable row level security;
alter table meters force row level security;
create policy r on sites for select using (app.has_org_access(org_id));
create policy c on sites for insert with check (app.has_org_access(org_id));
create policy u on sites for update using (app.has_org_access(org_id)) with check (app.has_org_access(org_id));
create policy d on sites for delete using (app.has_org_access(org_id));
create policy everything on meters using (app.has_org_access(org_id));
grant select, insert, update, delete on sites, meters to app_user;
-- @rows
insert into sites (org_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into meters (org_id, site_id, name) select org_id, id, name from sites;
-- @control
select from meters where org_id = :'A';
-- @attack
update sites set name = 'taken';
delete from meters;
-- @look
select from meters where org_id = :'B' having count(*) <> 1;
