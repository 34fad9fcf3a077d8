-- What: A platform for managed service providers, after the migrations of an open-source one: partners look after organisations; helpers
--   ask
--   list-valued settings, one for each axis, and a scope. Some tables have one axis, a catalogue has both.
--   Right: organisations' tables by rmm.has_org_access, partners' by rmm.has_partner_access; the catalogue's built-in rows, of neither
--   axis, are everybody's to read and nobody's to write; audit partitions are not granted.
--   Wrong: without a scope the session is "system" (as that project had it first, and closed later); scope is a setting of any session;
--   an organisation may change its own partner_id, by which it reads another partner's catalogue; device metrics have neither axis nor
--   policy; a materialised view counts everybody's alerts.
-- Source: LanternOps/breeze, tenant RLS migrations and docs/agents/tenancy-rls.md
-- Exploit: each in its own section
-- Column: org_id
-- Setting: rmm.org_ids
-- Session: rmm.scope = organization; rmm.partner_ids = 00000000-0000-4000-8000-0000000000ff
-- Finds: policy_unset_tenant|policy_escape_setting public.devices | public.alerts | public.sites | rmm.current_scope();
--   policy_escape_setting public.devices | public.alerts | public.sites | rmm.current_scope();
--   policy_lookup_writable|policy_write_unchecked public.catalog_items | public.organizations;
--   rls_missing public.device_metrics;
--   materialised_view public.org_health
-- Right: public.audit_logs_2024
-- Tenant: { { column = "org_id", setting = "rmm.org_ids", table = "public.organizations", key = "id", context = { ["rmm.scope"] =
--   "organization" } },
--   { column = "partner_id", setting = "rmm.partner_ids", table = "public.partners", key = "id", context = { ["rmm.scope"] = "partner" }
--   } }
-- @schema
create schema rmm;
grant usage on schema rmm to app_user;
create function rmm.current_scope() returns text language sql stable
  as $$ select coalesce(nullif(current_setting('rmm.scope', true), ''), 'system') $$;
create function rmm.ids(setting text) returns uuid[] language plpgsql stable as $$
declare raw text := current_setting(setting, true);
begin
  if raw is null or raw = '' then return '{}'; end if;
  return string_to_array(raw, ',')::uuid[];
exception when invalid_text_representation then
  return '{}';
end $$;
create function rmm.has_org_access(org uuid) returns boolean language sql stable as $$
  select case when rmm.current_scope() = 'system' then true when org is null then false
    else coalesce(org = any (rmm.ids('rmm.org_ids')), false) end $$;
create function rmm.has_partner_access(partner uuid) returns boolean language sql stable as $$
  select case when rmm.current_scope() = 'system' then true when partner is null or rmm.current_scope() <> 'partner' then false
    else coalesce(partner = any (rmm.ids('rmm.partner_ids')), false) end $$;
create table partners (id uuid primary key default gen_random_uuid(), name text not null);
create table organizations (id uuid primary key default gen_random_uuid(), partner_id uuid not null references partners,
  name text not null);
create table sites (id uuid primary key default gen_random_uuid(), org_id uuid not null references organizations, name text not null);
create table devices (id uuid primary key default gen_random_uuid(), org_id uuid not null references organizations,
  site_id uuid not null references sites, hostname text not null);
create table alerts (id uuid primary key default gen_random_uuid(), org_id uuid not null references organizations,
  device_id uuid not null references devices on delete cascade,
  severity text not null check (severity in ('info', 'warning', 'critical')));
create table device_metrics (device_id uuid not null references devices on delete cascade, at timestamptz not null, cpu real not null,
  primary key (device_id, at));
create table catalog_items (id uuid primary key default gen_random_uuid(), org_id uuid references organizations, partner_id uuid
  references partners, name text not null,
  check (org_id is null or partner_id is null));
create table audit_logs (id bigint not null, org_id uuid not null, at date not null, what text not null) partition by range (at);
create table audit_logs_2024 partition of audit_logs for values from ('2024-01-01') to ('2025-01-01');
do $$
declare t text;
begin
  foreach t in array array['partners', 'organizations', 'sites', 'devices', 'alerts', 'catalog_items', 'audit_logs'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
  end loop;
  foreach t in array array['sites', 'devices', 'alerts', 'audit_logs'] loop
    execute format('create policy org_select on %I for select using (rmm.has_org_access(org_id))', t);
    execute format('create policy org_insert on %I for insert with check (rmm.has_org_access(org_id))', t);
    execute format('create policy org_update on %I for update using (rmm.has_org_access(org_id))
      with check (rmm.has_org_access(org_id))', t);
    execute format('create policy org_delete on %I for delete using (rmm.has_org_access(org_id))', t);
  end loop;
end $$;
create policy partner_select on partners for select using (rmm.has_partner_access(id));
create policy org_select on organizations for select using (rmm.has_org_access(id) or rmm.has_partner_access(partner_id));
create policy org_update on organizations for update using (rmm.has_org_access(id)) with check (rmm.has_org_access(id));
create policy catalog_select on catalog_items for select using (rmm.has_org_access(org_id) or rmm.has_partner_access(partner_id)
  or (org_id is null and partner_id is null)
  or partner_id in (select o.partner_id from organizations o where o.id = any (rmm.ids('rmm.org_ids'))));
create policy catalog_write on catalog_items using ((org_id is not null and rmm.has_org_access(org_id)) or (partner_id is not null
  and rmm.has_partner_access(partner_id)));
create materialized view org_health as select d.org_id, count(*) as devices, string_agg(d.hostname, ',') as hostnames
  from devices d group by d.org_id;
grant select on partners, org_health to app_user;
grant select, update on organizations to app_user;
grant select, insert, update, delete on sites, devices, alerts, catalog_items, device_metrics to app_user;
grant select, insert on audit_logs to app_user;
-- @rows
insert into partners values ('00000000-0000-4000-8000-0000000000aa', 'partner of A'), ('00000000-0000-4000-8000-0000000000bb',
  'partner of B');
insert into organizations values (:'A', '00000000-0000-4000-8000-0000000000aa', 'A'), (:'B', '00000000-0000-4000-8000-0000000000bb', 'B');
insert into sites (org_id, name) select id, name from organizations;
insert into devices (org_id, site_id, hostname) select org_id, id, case name when 'A' then 'A-row' else 'B-secret' end from sites;
insert into alerts (org_id, device_id, severity) select org_id, id, 'info' from devices;
insert into device_metrics select id, '2024-01-01', case hostname when 'B-secret' then 0.75 else 0.25 end from devices;
insert into catalog_items (org_id, partner_id, name) values (null, null, 'built in'), (:'A', null, 'A-row'), (:'B', null, 'B-item'),
  (null, '00000000-0000-4000-8000-0000000000bb', 'B-secret');
insert into audit_logs values (1, :'A', '2024-05-01', 'A-row'), (2, :'B', '2024-05-01', 'B-secret');
set rmm.scope = 'system';
refresh materialized view org_health;
-- @fix
create or replace function rmm.current_scope() returns text language sql stable as $$
  select case when current_setting('rmm.scope', true) in ('organization', 'partner') then current_setting('rmm.scope',
    true) else 'none' end $$;
alter function rmm.ids(text) set search_path = pg_catalog, pg_temp;
revoke update on organizations from app_user;
grant update (name) on organizations to app_user;
alter table device_metrics enable row level security;
alter table device_metrics force row level security;
create policy device on device_metrics using (exists (select from devices d where d.id = device_metrics.device_id));
revoke select on org_health from app_user;
-- @control
select from devices d join device_metrics m on m.device_id = d.id where d.org_id = :'A';
-- @control
select from catalog_items where name = 'built in';
-- @exploit
reset rmm.scope;
select hostname from devices where hostname = 'B-secret';
-- @exploit
set rmm.scope = 'system';
select hostname from devices where hostname = 'B-secret';
-- @exploit
update organizations set partner_id = '00000000-0000-4000-8000-0000000000bb' where id = :'A';
select name from catalog_items where name = 'B-secret';
-- @exploit
select cpu from device_metrics where cpu = 0.75;
-- @exploit
select hostnames from org_health where hostnames like '%B-secret%';
-- @attack
update catalog_items set name = 'taken' where org_id is null and partner_id is null;
insert into catalog_items (name) values ('planted');
select what from audit_logs_2024;
select from catalog_items where name = 'B-item';
-- @look
select from catalog_items where name in ('taken', 'planted');
