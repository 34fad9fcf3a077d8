-- public: the roster pack. Every table is tenant-scoped: keys and foreign keys begin with tenant_id, so that a row cannot point to
-- another tenant's parent and a unique violation tells nothing about other tenants. Minutes count on the week's line (day 1 00:00 = 0).

set role platform_owner;

create table public.forecast_versions (
  id                 uuid not null default gen_random_uuid(),
  tenant_id          uuid not null references core.tenants (id),
  source             text not null default '',
  week               text check (week ~ '^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$'),
  input_hash         text not null,
  parser_config_hash text not null,
  status             text not null default 'FAIL' check (status in ('PASS', 'WARN', 'FAIL')),
  created_at         timestamptz not null default now(),
  primary key (tenant_id, id)
);
comment on table public.forecast_versions is 'an uploaded forecast; week is its ISO 8601 week, status its worst line''s';

create table public.tours_raw (
  tenant_id           uuid not null,
  forecast_version_id uuid not null,
  line_no             integer not null check (line_no >= 1),
  raw_text            text not null,
  status              text not null default 'FAIL' check (status in ('PASS', 'WARN', 'FAIL')),
  code                text,
  primary key (tenant_id, forecast_version_id, line_no),
  foreign key (tenant_id, forecast_version_id) references public.forecast_versions (tenant_id, id) on delete cascade
);
comment on table public.tours_raw is 'the forecast''s lines as they came; code is the issue of a line that is not PASS';

create table public.tours_normalized (
  id                  uuid not null default gen_random_uuid(),
  tenant_id           uuid not null,
  forecast_version_id uuid not null,
  line_no             integer not null default 1 check (line_no >= 1),
  day                 smallint not null check (day between 1 and 7),
  start_ts            integer not null check (start_ts between 0 and 10079),
  end_ts              integer not null check (end_ts between 1 and 20160),
  duration_min        integer not null check (duration_min between 1 and 10080),
  work_hours          numeric not null check (work_hours > 0),
  span_group_key      text,
  tour_fingerprint    text not null,
  count               integer not null default 1 check (count >= 1),
  depot               text,
  skill               text,
  primary key (tenant_id, id),
  unique (tenant_id, forecast_version_id, id),
  foreign key (tenant_id, forecast_version_id) references public.forecast_versions (tenant_id, id) on delete cascade
);
comment on table public.tours_normalized is 'tour templates: count drivers each';
create index tours_normalized_fingerprint on public.tours_normalized (tenant_id, forecast_version_id, tour_fingerprint);

create table public.tour_instances (
  id                  text not null,
  tenant_id           uuid not null,
  forecast_version_id uuid not null,
  template_id         uuid not null,
  instance_number     integer not null default 1 check (instance_number >= 1),
  day                 smallint not null check (day between 1 and 7),
  start_min           integer not null check (start_min between 0 and 10079),
  end_min             integer not null check (end_min between 1 and 20160),
  crosses_midnight    boolean not null default false,
  depot               text,
  skill               text,
  split_group         text,
  primary key (tenant_id, forecast_version_id, id),
  foreign key (tenant_id, forecast_version_id, template_id)
    references public.tours_normalized (tenant_id, forecast_version_id, id) on delete cascade
);
comment on table public.tour_instances is 'one driver''s worth of a template; id is derived from content';
create index tour_instances_template on public.tour_instances (tenant_id, forecast_version_id, template_id);

create table public.plan_versions (
  id                  uuid not null default gen_random_uuid(),
  tenant_id           uuid not null,
  forecast_version_id uuid not null,
  pack_id             text not null default 'roster' check (pack_id in ('roster', 'routing')),
  status              text not null default 'DRAFT' check (status in ('DRAFT', 'LOCKED')),
  seed                bigint not null,
  solver_config_hash  text not null,
  output_hash         text not null,
  locked_at           timestamptz,
  locked_by           text,
  created_at          timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, id, forecast_version_id),
  foreign key (tenant_id, forecast_version_id) references public.forecast_versions (tenant_id, id) on delete cascade,
  check (status = 'DRAFT' or (locked_at is not null and locked_by is not null))
);
comment on table public.plan_versions is 'a solver''s result; once LOCKED it never changes';
create index plan_versions_forecast on public.plan_versions (tenant_id, forecast_version_id);

create table public.assignments (
  id                  bigint generated always as identity,
  tenant_id           uuid not null,
  plan_version_id     uuid not null,
  forecast_version_id uuid not null,
  driver_id           text not null,
  tour_instance_id    text not null,
  day                 smallint not null check (day between 1 and 7),
  block_id            text not null,
  block_type          text not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, plan_version_id, forecast_version_id)
    references public.plan_versions (tenant_id, id, forecast_version_id) on delete cascade,
  foreign key (tenant_id, forecast_version_id, tour_instance_id)
    references public.tour_instances (tenant_id, forecast_version_id, id) on delete cascade
);
comment on table public.assignments is
  'who drives what. That each instance is assigned once, without overlap and with rest, is what audits find out: nothing here forbids it';
create index assignments_plan on public.assignments (tenant_id, plan_version_id, forecast_version_id);
create index assignments_instance on public.assignments (tenant_id, forecast_version_id, tour_instance_id);

create table public.audit_log (
  id              bigint generated always as identity,
  tenant_id       uuid not null,
  plan_version_id uuid not null,
  audit           text not null,
  status          text not null default 'ERROR' check (status in ('PASS', 'FAIL', 'ERROR')),
  details         jsonb not null default '{}',
  recorded_by     text not null default current_user,
  recorded_at     timestamptz not null default clock_timestamp(),
  primary key (tenant_id, id),
  foreign key (tenant_id, plan_version_id) references public.plan_versions (tenant_id, id) on delete cascade
);
comment on table public.audit_log is 'results of audits, append-only for the application; the latest row of an audit counts';
create index audit_log_plan on public.audit_log (tenant_id, plan_version_id, audit, id);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['forecast_versions', 'tours_raw', 'tours_normalized', 'tour_instances', 'plan_versions',
                                 'assignments', 'audit_log'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format($p$create policy tenant_isolation on public.%I
                        using (tenant_id::text = current_setting('app.current_tenant_id', true))
                        with check (tenant_id::text = current_setting('app.current_tenant_id', true))$p$, v_table);
  end loop;
end
$$;

grant select, insert, update, delete on public.forecast_versions, public.tours_raw, public.tours_normalized,
  public.tour_instances, public.plan_versions, public.assignments to app_user;
grant select, insert on public.audit_log to app_user;

reset role;
