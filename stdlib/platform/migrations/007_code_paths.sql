-- The platform's code paths. SECURITY INVOKER: they run with the caller's rights under row-level security, and the first thing each does
-- is to state the tenant, for this transaction only.
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
--   PL404 no such forecast; PL409 it is FAIL, or expanded already; PL422 counts differ from the templates'.
create function platform.expand_forecast(p_tenant uuid, p_forecast uuid, p_instances jsonb)
  returns integer language plpgsql as $$
declare
  v_status text;
  v_differ text;
  v_count  integer;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  perform platform.need_list('instances', p_instances);

  select f.status into v_status from public.forecast_versions f where f.tenant_id = p_tenant and f.id = p_forecast for update;
  if not found then
    raise exception 'forecast % of tenant % does not exist', p_forecast, p_tenant using errcode = 'PL404';
  end if;
  if v_status = 'FAIL' then
    raise exception 'forecast % is FAIL and cannot be expanded', p_forecast
      using errcode = 'PL409', hint = 'correct the lines whose status is FAIL and upload it again';
  end if;
  if exists (select from public.tour_instances i where i.tenant_id = p_tenant and i.forecast_version_id = p_forecast) then
    raise exception 'forecast % is expanded already', p_forecast using errcode = 'PL409';
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
--   p_assignments  [{driver_id, tour_instance_id, day, block_id, block_type}]
--   PL404 no such forecast; PL422 an assignment names an instance the forecast does not have.
create function platform.store_plan(p_tenant uuid, p_forecast uuid, p_seed bigint, p_solver_config_hash text, p_output_hash text,
                                    p_assignments jsonb)
  returns uuid language plpgsql as $$
declare
  v_plan    uuid;
  v_unknown text;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  perform platform.need_hash('solver_config_hash', p_solver_config_hash);
  perform platform.need_hash('output_hash', p_output_hash);
  perform platform.need_list('assignments', p_assignments);

  if not exists (select from public.forecast_versions f where f.tenant_id = p_tenant and f.id = p_forecast) then
    raise exception 'forecast % of tenant % does not exist', p_forecast, p_tenant using errcode = 'PL404';
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
--   tour_instance_id, day, block_id, block_type}]}, assignments sorted by driver_id, tour_instance_id (bytes). PL404 no such plan.
create function platform.read_plan(p_tenant uuid, p_plan uuid) returns jsonb language plpgsql as $$
declare
  v_result jsonb;
begin
  perform set_config('app.current_tenant_id', p_tenant::text, true);
  select jsonb_build_object(
           'id', p.id, 'forecast_version_id', p.forecast_version_id, 'pack', p.pack_id, 'status', p.status, 'seed', p.seed,
           'output_hash', p.output_hash, 'solver_config_hash', p.solver_config_hash,
           'locked_at', to_char(p.locked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'locked_by', p.locked_by,
           'assignments', coalesce(
             (select jsonb_agg(jsonb_build_object('driver_id', a.driver_id, 'tour_instance_id', a.tour_instance_id, 'day', a.day,
                                                  'block_id', a.block_id, 'block_type', a.block_type)
                               order by a.driver_id collate "C", a.tour_instance_id collate "C", a.id)
                from public.assignments a where a.tenant_id = p.tenant_id and a.plan_version_id = p.id), '[]'))
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
