-- The platform's code paths. SECURITY INVOKER: they run with the caller's rights under row-level security, and the first thing each does
-- is to state the tenant, for this transaction only. One path a step for every pack: what it is given, or the plan's pack, says which.
--
-- SQLSTATEs: PL404 not there (or not this tenant's), PL409 refused in this state, PL422 content refused.

set role platform_owner;

-- platform.need_hash(p_what text, p_hash text): refuses (PL422) what is not a SHA-256 in lower-case hex.
create function platform.need_hash(p_what text, p_hash text) returns void language plpgsql immutable as $$
begin
  if p_hash is null or p_hash !~ '^[0-9a-f]{64}$' then
    raise exception '% is not a SHA-256 in lower-case hex: %', p_what, coalesce(quote_literal(left(p_hash, 80)), 'NULL')
      using errcode = 'PL422';
  end if;
end
$$;

-- platform.need_list(p_what text, p_value jsonb): refuses (PL422) what is not a JSON array.
create function platform.need_list(p_what text, p_value jsonb) returns void language plpgsql immutable as $$
begin
  if jsonb_typeof(p_value) is distinct from 'array' then
    raise exception '% is not a JSON array but %', p_what, coalesce(jsonb_typeof(p_value), 'NULL') using errcode = 'PL422';
  end if;
end
$$;

-- platform.create_forecast(p_tenant, p_source, p_raw, p_templates, p_input_hash, p_parser_config_hash, p_week) → uuid
--   Stores a parsed forecast: its lines, its templates, and as its status the worst line's. p_week: the ISO week it is for.
--   p_raw        [{line_no, raw_text, status PASS|WARN|FAIL, code|null}]
--   p_templates  [{line_no, day, start_ts, end_ts, duration_min, work_hours, span_group_key, tour_fingerprint, count, depot, skill}]
create function platform.create_forecast(p_tenant uuid, p_source text, p_raw jsonb, p_templates jsonb,
                                         p_input_hash text, p_parser_config_hash text, p_week text default null)
  returns uuid language plpgsql as $$
declare
  v_forecast uuid;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  perform platform.need_hash('input_hash', p_input_hash);
  perform platform.need_hash('parser_config_hash', p_parser_config_hash);
  perform platform.need_list('raw', p_raw);
  perform platform.need_list('templates', p_templates);

  insert into public.forecast_versions (tenant_id, source, week, input_hash, parser_config_hash, status)
  select p_tenant, coalesce(p_source, ''), p_week, p_input_hash, p_parser_config_hash,
         case when count(*) = 0 or bool_or(r.status = 'FAIL') then 'FAIL' when bool_or(r.status = 'WARN') then 'WARN' else 'PASS' end
    from jsonb_to_recordset(p_raw) as r (status text)
  returning id into v_forecast;

  insert into public.tours_raw (tenant_id, forecast_version_id, line_no, raw_text, status, code)
  select p_tenant, v_forecast, r.line_no, r.raw_text, r.status, r.code
    from jsonb_to_recordset(p_raw) as r (line_no integer, raw_text text, status text, code text);

  insert into public.tours_normalized (tenant_id, forecast_version_id, line_no, day, start_ts, end_ts, duration_min, work_hours,
                                       span_group_key, tour_fingerprint, count, depot, skill)
  select p_tenant, v_forecast, t.line_no, t.day, t.start_ts, t.end_ts, t.duration_min, t.work_hours,
         t.span_group_key, t.tour_fingerprint, t.count, t.depot, t.skill
    from jsonb_to_recordset(p_templates)
      as t (line_no integer, day smallint, start_ts integer, end_ts integer, duration_min integer, work_hours numeric,
            span_group_key text, tour_fingerprint text, count integer, depot text, skill text);

  if exists (select from public.tours_normalized n
              where n.tenant_id = p_tenant and n.forecast_version_id = v_forecast and n.end_ts - n.start_ts <> n.duration_min) then
    raise exception 'a template''s duration_min is not end_ts - start_ts' using errcode = 'PL422';
  end if;
  return v_forecast;
end
$$;

-- platform.expand_forecast(p_tenant, p_forecast, p_instances) → integer (how many instances)
--   Stores the instances of a forecast, once; each template must get exactly its count of them.
--   p_instances  [{id, tour_fingerprint, instance_number, day, start_min, end_min, crosses_midnight, depot, skill, split_group}]
--                or a routing scenario, of which it counts vehicles and stops: {date, matrix: {version, sha256},
--                vehicles: [{id, depot: {id, lat, lng}, capacity, skills: [text], shift_start_min, shift_end_min}],
--                stops: [{id, lat, lng, demand, service_min, skills: [text], window_start_min, window_end_min}]}
--   PL404 no such forecast; PL409 it is FAIL, or expanded already; PL422 counts differ from the templates'.
create function platform.expand_forecast(p_tenant uuid, p_forecast uuid, p_instances jsonb)
  returns integer language plpgsql as $$
declare
  v_status text;
  v_differ text;
  v_count  integer;
  v_more   integer;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  if jsonb_typeof(p_instances) = 'object' then
    perform platform.need_list('vehicles', p_instances -> 'vehicles');
    perform platform.need_list('stops', p_instances -> 'stops');
    perform platform.need_hash('matrix.sha256', p_instances #>> '{matrix,sha256}');
  else
    perform platform.need_list('instances', p_instances);
  end if;

  select f.status into v_status from public.forecast_versions f where f.tenant_id = p_tenant and f.id = p_forecast for update;
  if not found then
    raise exception 'forecast % of tenant % does not exist', p_forecast, p_tenant using errcode = 'PL404';
  end if;
  if v_status = 'FAIL' then
    raise exception 'forecast % is FAIL and cannot be expanded', p_forecast
      using errcode = 'PL409', hint = 'correct the lines whose status is FAIL and upload it again';
  end if;
  if exists (select from public.tour_instances i where i.tenant_id = p_tenant and i.forecast_version_id = p_forecast)
     or exists (select from public.routing_scenarios c where c.tenant_id = p_tenant and c.id = p_forecast) then
    raise exception 'forecast % is expanded already', p_forecast using errcode = 'PL409';
  end if;

  if jsonb_typeof(p_instances) = 'object' then
    insert into public.routing_scenarios (id, tenant_id, date, matrix_version, matrix_hash)
    values (p_forecast, p_tenant, (p_instances ->> 'date')::date, p_instances #>> '{matrix,version}', p_instances #>> '{matrix,sha256}');
    insert into public.routing_vehicles (id, tenant_id, scenario_id, depot, depot_lat, depot_lng, capacity, skills, shift_start, shift_end)
    select v.id, p_tenant, p_forecast, v.depot ->> 'id', (v.depot ->> 'lat')::double precision, (v.depot ->> 'lng')::double precision,
           v.capacity, array(select jsonb_array_elements_text(v.skills)), v.shift_start_min, v.shift_end_min
      from jsonb_to_recordset(p_instances -> 'vehicles')
        as v (id text, depot jsonb, capacity integer, skills jsonb, shift_start_min integer, shift_end_min integer);
    get diagnostics v_count = row_count;
    insert into public.routing_stops (id, tenant_id, scenario_id, lat, lng, window_start, window_end, service_min, demand, skills)
    select s.id, p_tenant, p_forecast, s.lat, s.lng, s.window_start_min, s.window_end_min, s.service_min, s.demand,
           array(select jsonb_array_elements_text(s.skills))
      from jsonb_to_recordset(p_instances -> 'stops')
        as s (id text, lat double precision, lng double precision, window_start_min integer, window_end_min integer,
              service_min integer, demand integer, skills jsonb);
    get diagnostics v_more = row_count;
    return v_count + v_more;
  end if;

  select string_agg(format('%s: %s instances for a count of %s', fingerprint, coalesce(g.n, 0), coalesce(w.n, 0)), '; ' order by fingerprint)
    into v_differ
    from (select x.tour_fingerprint as fingerprint, count(*) as n
            from jsonb_to_recordset(p_instances) as x (tour_fingerprint text) group by 1) g
    full join (select t.tour_fingerprint as fingerprint, sum(t.count) as n
                 from public.tours_normalized t
                where t.tenant_id = p_tenant and t.forecast_version_id = p_forecast group by 1) w using (fingerprint)
   where g.n is distinct from w.n;
  if v_differ is not null then
    raise exception 'instances do not match the templates of forecast %', p_forecast
      using errcode = 'PL422', detail = left(v_differ, 2000);
  end if;

  -- Equal lines of a forecast have equal fingerprints: the first one stands for all.
  insert into public.tour_instances (id, tenant_id, forecast_version_id, template_id, instance_number, day, start_min, end_min,
                                     crosses_midnight, depot, skill, split_group)
  select x.id, p_tenant, p_forecast, t.id, x.instance_number, x.day, x.start_min, x.end_min,
         coalesce(x.crosses_midnight, false), x.depot, x.skill, x.split_group
    from jsonb_to_recordset(p_instances)
      as x (id text, tour_fingerprint text, instance_number integer, day smallint, start_min integer, end_min integer,
            crosses_midnight boolean, depot text, skill text, split_group text)
    join (select distinct on (n.tour_fingerprint) n.tour_fingerprint, n.id
            from public.tours_normalized n
           where n.tenant_id = p_tenant and n.forecast_version_id = p_forecast
           order by n.tour_fingerprint, n.line_no, n.id) t using (tour_fingerprint);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- platform.store_plan(p_tenant, p_forecast, p_seed, p_solver_config_hash, p_output_hash, p_assignments) → uuid
--   Stores a solver's result as a DRAFT. What it is worth the audits say.
--   p_assignments  [{driver_id, tour_instance_id, day, block_id, block_type}]; of a forecast that was expanded as a routing scenario
--                  [{vehicle_id, start_s, end_s, visits: [{stop_id, arrive_s, start_s, leave_s}]}], visits in driving order
--   PL404 no such forecast; PL422 an assignment names an instance (a route a vehicle, a visit a stop) the forecast does not have.
create function platform.store_plan(p_tenant uuid, p_forecast uuid, p_seed bigint, p_solver_config_hash text, p_output_hash text,
                                    p_assignments jsonb)
  returns uuid language plpgsql as $$
declare
  v_plan    uuid;
  v_unknown text;
  v_routing boolean;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  perform platform.need_hash('solver_config_hash', p_solver_config_hash);
  perform platform.need_hash('output_hash', p_output_hash);
  perform platform.need_list('assignments', p_assignments);

  if not exists (select from public.forecast_versions f where f.tenant_id = p_tenant and f.id = p_forecast) then
    raise exception 'forecast % of tenant % does not exist', p_forecast, p_tenant using errcode = 'PL404';
  end if;
  v_routing := exists (select from public.routing_scenarios c where c.tenant_id = p_tenant and c.id = p_forecast);
  if v_routing then
    select x.name into v_unknown
      from (select 'vehicle ' || coalesce(r.vehicle_id, '') as name from jsonb_to_recordset(p_assignments) as r (vehicle_id text)
             where not exists (select from public.routing_vehicles v
                                where v.tenant_id = p_tenant and v.scenario_id = p_forecast and v.id = r.vehicle_id)
            union all
            select 'stop ' || coalesce(y.stop_id, '') from jsonb_to_recordset(p_assignments) as r (visits jsonb),
                   jsonb_to_recordset(r.visits) as y (stop_id text)
             where not exists (select from public.routing_stops s
                                where s.tenant_id = p_tenant and s.scenario_id = p_forecast and s.id = y.stop_id)) x
     order by 1 limit 1;
    if found then
      raise exception 'a route names %, which forecast % does not have', quote_literal(left(v_unknown, 80)), p_forecast
        using errcode = 'PL422';
    end if;

    insert into public.plan_versions (tenant_id, forecast_version_id, pack_id, seed, solver_config_hash, output_hash)
    values (p_tenant, p_forecast, 'routing', p_seed, p_solver_config_hash, p_output_hash)
    returning id into v_plan;
    with routes as (
      select gen_random_uuid() as id, r.vehicle_id, r.start_s, r.end_s, r.visits
        from jsonb_to_recordset(p_assignments) as r (vehicle_id text, start_s integer, end_s integer, visits jsonb)
    ), stored as (
      insert into public.routing_routes (id, tenant_id, plan_version_id, scenario_id, vehicle_id, start_s, end_s)
      select r.id, p_tenant, v_plan, p_forecast, r.vehicle_id, r.start_s, r.end_s from routes r
    )
    insert into public.routing_route_stops (tenant_id, plan_version_id, scenario_id, route_id, position, stop_id, arrive_s, start_s, leave_s)
    select p_tenant, v_plan, p_forecast, r.id, v.position, v.visit ->> 'stop_id', (v.visit ->> 'arrive_s')::integer,
           (v.visit ->> 'start_s')::integer, (v.visit ->> 'leave_s')::integer
      from routes r, jsonb_array_elements(r.visits) with ordinality as v (visit, position);
    return v_plan;
  end if;

  select a.tour_instance_id into v_unknown
    from jsonb_to_recordset(p_assignments) as a (tour_instance_id text)
   where not exists (select from public.tour_instances i
                      where i.tenant_id = p_tenant and i.forecast_version_id = p_forecast and i.id = a.tour_instance_id)
   order by 1 limit 1;
  if found then
    raise exception 'an assignment names tour instance %, which forecast % does not have',
      coalesce(quote_literal(left(v_unknown, 80)), 'NULL'), p_forecast using errcode = 'PL422';
  end if;

  insert into public.plan_versions (tenant_id, forecast_version_id, seed, solver_config_hash, output_hash)
  values (p_tenant, p_forecast, p_seed, p_solver_config_hash, p_output_hash)
  returning id into v_plan;

  insert into public.assignments (tenant_id, plan_version_id, forecast_version_id, driver_id, tour_instance_id, day, block_id, block_type)
  select p_tenant, v_plan, p_forecast, a.driver_id, a.tour_instance_id, a.day, a.block_id, a.block_type
    from jsonb_to_recordset(p_assignments)
      as a (driver_id text, tour_instance_id text, day smallint, block_id text, block_type text);
  return v_plan;
end
$$;

-- platform.record_audit(p_tenant, p_plan, p_audit, p_status, p_details) → bigint (the log row's id)
--   Appends an audit's result (PASS, FAIL, ERROR); the latest of each audit counts. PL404 no such plan.
create function platform.record_audit(p_tenant uuid, p_plan uuid, p_audit text, p_status text, p_details jsonb)
  returns bigint language plpgsql as $$
declare
  v_id bigint;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  if not exists (select from public.plan_versions p where p.tenant_id = p_tenant and p.id = p_plan) then
    raise exception 'plan % of tenant % does not exist', p_plan, p_tenant using errcode = 'PL404';
  end if;
  insert into public.audit_log (tenant_id, plan_version_id, audit, status, details)
  values (p_tenant, p_plan, p_audit, p_status, coalesce(p_details, '{}'))
  returning id into v_id;
  return v_id;
end
$$;

-- platform.lock_plan(p_tenant, p_plan, p_locked_by) → text ('LOCKED')
--   Locks a plan whose required audits all have PASS as their latest result. Again for a locked plan: 'LOCKED', nothing changes.
--   PL404 no such plan; PL409 an audit is open, or nobody is named.
create function platform.lock_plan(p_tenant uuid, p_plan uuid, p_locked_by text) returns text language plpgsql as $$
declare
  v_plan public.plan_versions;
  v_open text;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  if coalesce(btrim(p_locked_by), '') = '' then
    raise exception 'plan % cannot be locked by nobody', p_plan using errcode = 'PL409', hint = 'name who approves it';
  end if;
  -- FOR UPDATE waits for audits which are being recorded (their foreign key holds the row), so that none is missed.
  select * into v_plan from public.plan_versions p where p.tenant_id = p_tenant and p.id = p_plan for update;
  if not found then
    raise exception 'plan % of tenant % does not exist', p_plan, p_tenant using errcode = 'PL404';
  end if;
  if v_plan.status = 'LOCKED' then
    return 'LOCKED';
  end if;
  v_open := platform.open_audits(p_tenant, p_plan, v_plan.pack_id);
  if v_open is not null then
    raise exception 'plan % cannot be locked: audits without PASS: %', p_plan, v_open
      using errcode = 'PL409', hint = 'every required audit must have PASS as its latest result';
  end if;
  update public.plan_versions set status = 'LOCKED', locked_at = now(), locked_by = p_locked_by
   where tenant_id = p_tenant and id = p_plan;
  return 'LOCKED';
end
$$;

-- platform.read_plan(p_tenant, p_plan) → jsonb
--   {id, forecast_version_id, pack, status, seed, output_hash, solver_config_hash, locked_at, locked_by, assignments: [{driver_id,
--   tour_instance_id, day, block_id, block_type}]}, assignments sorted by driver_id, tour_instance_id (bytes). For pack routing they are
--   [{vehicle_id, start_s, end_s, visits: [{stop_id, arrive_s, start_s, leave_s}]}], sorted by vehicle_id (bytes), then start_s.
--   PL404 no such plan.
create function platform.read_plan(p_tenant uuid, p_plan uuid) returns jsonb language plpgsql as $$
declare
  v_result jsonb;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  select jsonb_build_object(
           'id', p.id, 'forecast_version_id', p.forecast_version_id, 'pack', p.pack_id, 'status', p.status, 'seed', p.seed,
           'output_hash', p.output_hash, 'solver_config_hash', p.solver_config_hash,
           'locked_at', to_char(p.locked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'locked_by', p.locked_by,
           'assignments', case p.pack_id when 'routing' then coalesce(
             (select jsonb_agg(jsonb_build_object('vehicle_id', r.vehicle_id, 'start_s', r.start_s, 'end_s', r.end_s, 'visits', coalesce(
                                 (select jsonb_agg(jsonb_build_object('stop_id', s.stop_id, 'arrive_s', s.arrive_s, 'start_s', s.start_s,
                                                                      'leave_s', s.leave_s) order by s.position)
                                    from public.routing_route_stops s where s.tenant_id = r.tenant_id and s.route_id = r.id), '[]'))
                               order by r.vehicle_id collate "C", r.start_s, r.end_s, r.id)
                from public.routing_routes r where r.tenant_id = p.tenant_id and r.plan_version_id = p.id), '[]') else coalesce(
             (select jsonb_agg(jsonb_build_object('driver_id', a.driver_id, 'tour_instance_id', a.tour_instance_id, 'day', a.day,
                                                  'block_id', a.block_id, 'block_type', a.block_type)
                               order by a.driver_id collate "C", a.tour_instance_id collate "C", a.id)
                from public.assignments a where a.tenant_id = p.tenant_id and a.plan_version_id = p.id), '[]') end)
    into v_result
    from public.plan_versions p where p.tenant_id = p_tenant and p.id = p_plan;
  if v_result is null then
    raise exception 'plan % of tenant % does not exist', p_plan, p_tenant using errcode = 'PL404';
  end if;
  return v_result;
end
$$;

grant execute on function
  platform.need_hash(text, text), platform.need_list(text, jsonb),
  platform.create_forecast(uuid, text, jsonb, jsonb, text, text, text),
  platform.expand_forecast(uuid, uuid, jsonb),
  platform.store_plan(uuid, uuid, bigint, text, text, jsonb),
  platform.record_audit(uuid, uuid, text, text, jsonb),
  platform.lock_plan(uuid, uuid, text),
  platform.read_plan(uuid, uuid)
  to app_user;

reset role;
