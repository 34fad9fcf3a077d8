-- What was done to tenants by operators: the database's own ledger, a row for each step of a tenant's life, written in the
-- transaction that takes the step. Rows are only ever added.

set role platform_owner;

create table core.tenant_events (
  id           bigint generated always as identity primary key,
  tenant_id    uuid not null references core.tenants (id),
  event        text not null check (event in ('created', 'pack_configured', 'key_rotated', 'activated', 'suspended', 'resumed',
                                              'archived')),
  request      text check (request <> ''),
  payload_hash text,
  evidence     text check (evidence ~ '^[0-9a-f]{64}$'),
  detail       jsonb not null default '{}',
  actor        text not null default session_user,
  at           timestamptz not null default now(),
  check ((event = 'activated') = (evidence is not null))
);
comment on table core.tenant_events is 'what operators did to tenants; evidence: SHA-256 of the signed statement that made a tenant active';
create unique index tenant_events_request on core.tenant_events (tenant_id, event, request) where request is not null;
create unique index tenant_events_evidence on core.tenant_events (tenant_id, evidence); -- a statement makes active once

alter table core.tenant_events enable row level security;
alter table core.tenant_events force row level security;
create policy tenant_isolation on core.tenant_events
  using (tenant_id::text = current_setting('app.current_tenant_id', true))
  with check (tenant_id::text = current_setting('app.current_tenant_id', true));

create function platform.keep_events() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'core.tenant_events: rows are added and never changed' using errcode = 'PL423';
end
$$;
create trigger keep_events before update or delete on core.tenant_events for each row execute function platform.keep_events();
create trigger keep_events_whole before truncate on core.tenant_events for each statement execute function platform.keep_events();

reset role;
