-- What had to be escalated about a tenant, and who was told. Rows are only ever added.

set role platform_owner;

create table core.escalations (
  id        text not null check (id ~ '^ESC-[0-9a-f]{16}$'),
  tenant_id uuid not null references core.tenants (id),
  rule      text not null check (rule in ('gate_failed', 'gate_flaky', 'pilot_issue', 'bypass_request')),
  severity  text not null check (severity in ('S2', 'S3')),
  evidence  jsonb not null,
  action    text not null,
  who       text not null,
  actor     text not null default session_user,
  at        timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table core.escalations is 'escalations; id is derived from tenant, rule and evidence, so that the same one is recorded once';

create table core.escalation_deliveries (
  tenant_id     uuid not null,
  escalation_id text not null,
  endpoint      text not null,
  at            timestamptz not null default now(),
  primary key (tenant_id, escalation_id, endpoint),
  foreign key (tenant_id, escalation_id) references core.escalations (tenant_id, id)
);
comment on table core.escalation_deliveries is 'webhooks that took an escalation';

-- platform.keep_rows(): trigger. Rows are added, and neither changed nor taken out.
create function platform.keep_rows() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '%.%: rows are added and never changed', tg_table_schema, tg_table_name using errcode = 'PL423';
end
$$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['escalations', 'escalation_deliveries'] loop
    execute format('alter table core.%I enable row level security', v_table);
    execute format('alter table core.%I force row level security', v_table);
    execute format($p$create policy tenant_isolation on core.%I
                        using (tenant_id::text = current_setting('app.current_tenant_id', true))
                        with check (tenant_id::text = current_setting('app.current_tenant_id', true))$p$, v_table);
    execute format('create trigger keep_rows before update or delete on core.%I for each row execute function platform.keep_rows()', v_table);
    execute format('create trigger keep_whole before truncate on core.%I for each statement execute function platform.keep_rows()', v_table);
  end loop;
end
$$;

reset role;
