-- public: the routing pack, tenant-scoped in the same way as the roster tables. A scenario is a forecast of this pack: one row of
-- forecast_versions, of the same id. Windows and shifts are minutes since the date's 00:00, a plan's times are seconds.

set role platform_owner;

create table public.routing_scenarios (
  id             uuid not null,
  tenant_id      uuid not null,
  date           date not null,
  matrix_version text not null,
  matrix_hash    text not null,
  created_at     timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, id) references public.forecast_versions (tenant_id, id) on delete cascade
);
comment on table public.routing_scenarios is 'one day''s routing task; matrix_hash pins the StaticMatrix it is solved with';

create table public.routing_stops (
  id           text not null,
  tenant_id    uuid not null,
  scenario_id  uuid not null,
  lat          double precision not null check (lat between -90 and 90),
  lng          double precision not null check (lng between -180 and 180),
  window_start integer not null default 0 check (window_start between 0 and 2880),
  window_end   integer not null default 1440 check (window_end between 0 and 2880),
  service_min  integer not null default 0 check (service_min >= 0),
  demand       integer not null default 0 check (demand >= 0),
  skills       text[] not null default '{}',
  primary key (tenant_id, scenario_id, id),
  foreign key (tenant_id, scenario_id) references public.routing_scenarios (tenant_id, id) on delete cascade
);

create table public.routing_vehicles (
  id          text not null,
  tenant_id   uuid not null,
  scenario_id uuid not null,
  depot       text not null,
  depot_lat   double precision not null check (depot_lat between -90 and 90),
  depot_lng   double precision not null check (depot_lng between -180 and 180),
  capacity    integer not null check (capacity >= 0),
  skills      text[] not null default '{}',
  shift_start integer not null default 0 check (shift_start between 0 and 2880),
  shift_end   integer not null default 1440 check (shift_end between 0 and 2880),
  primary key (tenant_id, scenario_id, id),
  foreign key (tenant_id, scenario_id) references public.routing_scenarios (tenant_id, id) on delete cascade
);

create table public.routing_routes (
  id              uuid not null default gen_random_uuid(),
  tenant_id       uuid not null,
  plan_version_id uuid not null,
  scenario_id     uuid not null,
  vehicle_id      text not null,
  start_s         integer not null check (start_s between 0 and 172800),
  end_s           integer not null check (end_s between 0 and 172800),
  primary key (tenant_id, id),
  unique (tenant_id, plan_version_id, scenario_id, id),
  foreign key (tenant_id, plan_version_id, scenario_id)
    references public.plan_versions (tenant_id, id, forecast_version_id) on delete cascade,
  foreign key (tenant_id, scenario_id, vehicle_id) references public.routing_vehicles (tenant_id, scenario_id, id) on delete cascade
);
comment on table public.routing_routes is
  'who drives when. That each stop is served once and in its window is what audits find out: nothing here forbids it';
create index routing_routes_plan on public.routing_routes (tenant_id, plan_version_id, scenario_id);
create index routing_routes_vehicle on public.routing_routes (tenant_id, scenario_id, vehicle_id);

create table public.routing_route_stops (
  tenant_id       uuid not null,
  plan_version_id uuid not null,
  scenario_id     uuid not null,
  route_id        uuid not null,
  position        integer not null check (position >= 1),
  stop_id         text not null,
  arrive_s        integer not null check (arrive_s between 0 and 172800),
  start_s         integer not null check (start_s between 0 and 172800),
  leave_s         integer not null check (leave_s between 0 and 172800),
  primary key (tenant_id, route_id, position),
  foreign key (tenant_id, plan_version_id, scenario_id, route_id)
    references public.routing_routes (tenant_id, plan_version_id, scenario_id, id) on delete cascade,
  foreign key (tenant_id, scenario_id, stop_id) references public.routing_stops (tenant_id, scenario_id, id) on delete cascade
);
create index routing_route_stops_route on public.routing_route_stops (tenant_id, plan_version_id, scenario_id, route_id);
create index routing_route_stops_stop on public.routing_route_stops (tenant_id, scenario_id, stop_id);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['routing_scenarios', 'routing_stops', 'routing_vehicles', 'routing_routes', 'routing_route_stops'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format($p$create policy tenant_isolation on public.%I
                        using (tenant_id::text = current_setting('app.current_tenant_id', true))
                        with check (tenant_id::text = current_setting('app.current_tenant_id', true))$p$, v_table);
    execute format('grant select, insert, update, delete on public.%I to app_user', v_table);
  end loop;
end
$$;

reset role;
