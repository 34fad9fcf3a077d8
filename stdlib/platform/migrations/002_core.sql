-- core: tenants, their policy profiles and pack settings.

set role platform_owner;

create table core.tenants (
  id         uuid primary key default gen_random_uuid(),
  code       text not null unique check (code ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
  name       text not null,
  status     text not null default 'onboarding' check (status in ('onboarding', 'active', 'suspended', 'archived')),
  settings   jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table core.tenants is 'one row a customer; the application sees the row of its own tenant only';

alter table core.tenants enable row level security;
alter table core.tenants force row level security;
create policy tenant_isolation on core.tenants for select to app_user
  using (id::text = current_setting('app.current_tenant_id', true));
create policy operator_all on core.tenants for all to platform_owner using (true) with check (true);
grant select on core.tenants to app_user;

create table core.policy_profiles (
  id             uuid not null default gen_random_uuid(),
  tenant_id      uuid not null references core.tenants (id),
  pack_id        text not null default 'roster' check (pack_id in ('roster', 'routing')),
  name           text not null,
  version        integer not null default 1 check (version >= 1),
  status         text not null default 'draft' check (status in ('draft', 'active', 'archived')),
  config_json    jsonb not null default '{}',
  config_hash    text not null,
  schema_version text not null default '1',
  created_by     text not null default current_user,
  updated_by     text not null default current_user,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, pack_id, id),
  unique (tenant_id, pack_id, name, version)
);
comment on table core.policy_profiles is 'versioned configuration of one pack for one tenant';
create unique index policy_profiles_one_active on core.policy_profiles (tenant_id, pack_id, name) where status = 'active';

create table core.tenant_pack_settings (
  tenant_id         uuid not null references core.tenants (id),
  pack_id           text not null default 'roster' check (pack_id in ('roster', 'routing')),
  active_profile_id uuid,
  use_pack_defaults boolean not null default true,
  updated_by        text not null default current_user,
  updated_at        timestamptz not null default now(),
  primary key (tenant_id, pack_id),
  foreign key (tenant_id, pack_id, active_profile_id) references core.policy_profiles (tenant_id, pack_id, id),
  check (use_pack_defaults or active_profile_id is not null)
);
comment on table core.tenant_pack_settings is 'which profile a tenant uses for a pack; none means the pack''s defaults';
create index tenant_pack_settings_profile on core.tenant_pack_settings (tenant_id, pack_id, active_profile_id);

alter table core.policy_profiles enable row level security;
alter table core.policy_profiles force row level security;
create policy tenant_isolation on core.policy_profiles
  using (tenant_id::text = current_setting('app.current_tenant_id', true))
  with check (tenant_id::text = current_setting('app.current_tenant_id', true));
grant select, insert, update on core.policy_profiles to app_user;

alter table core.tenant_pack_settings enable row level security;
alter table core.tenant_pack_settings force row level security;
create policy tenant_isolation on core.tenant_pack_settings
  using (tenant_id::text = current_setting('app.current_tenant_id', true))
  with check (tenant_id::text = current_setting('app.current_tenant_id', true));
grant select, insert, update on core.tenant_pack_settings to app_user;

reset role;
