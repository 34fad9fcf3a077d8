-- A LOCKED plan never changes. The rule stands in triggers, so that it holds for every role, owner and superuser included, and whatever
-- the session's replication role is (ENABLE ALWAYS).
--
-- The trigger functions are SECURITY DEFINER and belong to the superuser: row-level security must not hide from the guard the plan it
-- guards. Triggers fire without EXECUTE, which nobody is granted.
--
-- SQLSTATEs of the platform: PL404 not there, PL409 refused in this state, PL422 content refused, PL423 locked.

set role platform_owner;

create table platform.required_audits (
  pack  text not null check (pack in ('roster', 'routing')),
  audit text not null,
  primary key (pack, audit)
);
comment on table platform.required_audits is 'audits whose latest result must be PASS before a plan of the pack may be locked';
insert into platform.required_audits (pack, audit) values
  ('roster', 'coverage'), ('roster', 'overlap'), ('roster', 'rest'), ('roster', 'span_regular'), ('roster', 'span_split'),
  ('roster', 'fatigue'), ('roster', 'weekly_max'),
  ('routing', 'coverage'), ('routing', 'time_window'), ('routing', 'capacity'), ('routing', 'overlap'),
  ('routing', 'skills_compliance');
grant select on platform.required_audits to app_user;

-- platform.open_audits(p_tenant uuid, p_plan uuid, p_pack text) → text
--   What keeps the plan from being locked, e.g. "coverage (FAIL), rest (not run)"; NULL when nothing does.
--   A pack without required audits is never free to lock.
create function platform.open_audits(p_tenant uuid, p_plan uuid, p_pack text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_open text;
begin
  if not exists (select from platform.required_audits r where r.pack = p_pack) then
    return format('pack "%s" has no required audits', p_pack);
  end if;
  select string_agg(format('%s (%s)', o.audit, o.status), ', ' order by o.audit) into v_open
    from (select r.audit, coalesce((select a.status from public.audit_log a
                                     where a.tenant_id = p_tenant and a.plan_version_id = p_plan and a.audit = r.audit
                                     order by a.id desc limit 1), 'not run') as status
            from platform.required_audits r where r.pack = p_pack) o
   where o.status <> 'PASS';
  return v_open;
end
$$;
grant execute on function platform.open_audits(uuid, uuid, text) to app_user;

reset role;

-- Trigger on plan_versions: no change of a LOCKED plan (PL423), none is born LOCKED and none becomes it with an audit open (PL409).
create function platform.guard_plan() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_open text;
begin
  if tg_op <> 'INSERT' and old.status = 'LOCKED' then
    raise exception 'plan % is LOCKED: % refused', old.id, tg_op
      using errcode = 'PL423', hint = 'make a new plan version; a locked plan never changes';
  end if;
  if tg_op = 'INSERT' and new.status = 'LOCKED' then
    raise exception 'plan % cannot be created LOCKED', new.id
      using errcode = 'PL409', hint = 'store it as DRAFT, record its audits, then call platform.lock_plan';
  end if;
  if tg_op = 'UPDATE' and new.status = 'LOCKED' then
    -- A trigger comes before the policy's WITH CHECK: what is asked for is the row that was there, not another tenant's that it is
    -- to become.
    if (new.id, new.tenant_id, new.pack_id) is distinct from (old.id, old.tenant_id, old.pack_id) then
      raise exception 'plan % keeps its id, its tenant and its pack while it is locked', old.id
        using errcode = 'PL409', hint = 'lock it as it is';
    end if;
    v_open := platform.open_audits(old.tenant_id, old.id, old.pack_id);
    if v_open is not null then
      raise exception 'plan % cannot be locked: audits without PASS: %', new.id, v_open
        using errcode = 'PL409', hint = 'every required audit must have PASS as its latest result';
    end if;
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end
$$;

-- Trigger on assignments: neither their old nor their new plan may be LOCKED. FOR SHARE makes a lock that is being set right now wait for
-- this change, or this change for it. No plan there means that it is being deleted, which its own trigger allowed, or that the
-- foreign key will refuse the row.
create function platform.guard_assignment() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
begin
  if tg_op <> 'INSERT' then
    select p.status into v_status from public.plan_versions p
     where p.tenant_id = old.tenant_id and p.id = old.plan_version_id for share;
    if v_status = 'LOCKED' then
      raise exception 'plan % is LOCKED: % of its assignment % refused', old.plan_version_id, tg_op, old.id
        using errcode = 'PL423', hint = 'make a new plan version; a locked plan never changes';
    end if;
  end if;
  if tg_op <> 'DELETE' then
    select p.status into v_status from public.plan_versions p
     where p.tenant_id = new.tenant_id and p.id = new.plan_version_id for share;
    if v_status = 'LOCKED' then
      raise exception 'plan % is LOCKED: % of an assignment refused', new.plan_version_id, tg_op
        using errcode = 'PL423', hint = 'make a new plan version; a locked plan never changes';
    end if;
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end
$$;

-- Trigger on routes and their stops: the same as guard_assignment.
create function platform.guard_route() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
begin
  if tg_op <> 'INSERT' then
    select p.status into v_status from public.plan_versions p
     where p.tenant_id = old.tenant_id and p.id = old.plan_version_id for share;
    if v_status = 'LOCKED' then
      raise exception 'plan % is LOCKED: % in % refused', old.plan_version_id, tg_op, tg_table_name
        using errcode = 'PL423', hint = 'make a new plan version; a locked plan never changes';
    end if;
  end if;
  if tg_op <> 'DELETE' then
    select p.status into v_status from public.plan_versions p
     where p.tenant_id = new.tenant_id and p.id = new.plan_version_id for share;
    if v_status = 'LOCKED' then
      raise exception 'plan % is LOCKED: % in % refused', new.plan_version_id, tg_op, tg_table_name
        using errcode = 'PL423', hint = 'make a new plan version; a locked plan never changes';
    end if;
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end
$$;

-- Trigger on what a plan was made for: a forecast with its tours, a scenario with its stops and vehicles. With a LOCKED plan of it none
-- changes and none is added, or the plan would be another one than was audited. tg_argv[0] is the column with the forecast's id. A DELETE
-- takes the plan's own rows along, whose triggers refuse it. FOR SHARE as in guard_assignment.
create function platform.guard_forecast() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_plan record;
begin
  for v_plan in
    select p.id, p.status from public.plan_versions p
     where (p.tenant_id, p.forecast_version_id) in
           ((new.tenant_id, (to_jsonb(new) ->> tg_argv[0])::uuid), (old.tenant_id, (to_jsonb(old) ->> tg_argv[0])::uuid))
       for share
  loop
    if v_plan.status = 'LOCKED' then
      raise exception 'plan % is LOCKED: % in % refused', v_plan.id, tg_op, tg_table_name
        using errcode = 'PL423', hint = 'make a new forecast version; what a locked plan was made for never changes';
    end if;
  end loop;
  return new;
end
$$;

-- Trigger on all of these: TRUNCATE asks no row trigger, so it is refused while any tenant has a LOCKED plan.
create function platform.guard_truncate() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from public.plan_versions where status = 'LOCKED') then
    raise exception 'TRUNCATE of % refused: there are LOCKED plans', tg_table_name
      using errcode = 'PL423', hint = 'delete the rows of DRAFT plans instead';
  end if;
  return null;
end
$$;

create trigger guard_plan before insert or update or delete on public.plan_versions
  for each row execute function platform.guard_plan();
create trigger guard_truncate before truncate on public.plan_versions
  for each statement execute function platform.guard_truncate();
create trigger guard_assignment before insert or update or delete on public.assignments
  for each row execute function platform.guard_assignment();
create trigger guard_truncate before truncate on public.assignments
  for each statement execute function platform.guard_truncate();

create trigger guard_route before insert or update or delete on public.routing_routes
  for each row execute function platform.guard_route();
create trigger guard_truncate before truncate on public.routing_routes
  for each statement execute function platform.guard_truncate();
create trigger guard_route before insert or update or delete on public.routing_route_stops
  for each row execute function platform.guard_route();
create trigger guard_truncate before truncate on public.routing_route_stops
  for each statement execute function platform.guard_truncate();

create trigger guard_forecast before update of id, tenant_id, input_hash, parser_config_hash, week on public.forecast_versions
  for each row execute function platform.guard_forecast('id');
create trigger guard_forecast before insert or update on public.tour_instances
  for each row execute function platform.guard_forecast('forecast_version_id');
create trigger guard_forecast before update on public.routing_scenarios
  for each row execute function platform.guard_forecast('id');
create trigger guard_forecast before insert or update on public.routing_stops
  for each row execute function platform.guard_forecast('scenario_id');
create trigger guard_forecast before insert or update on public.routing_vehicles
  for each row execute function platform.guard_forecast('scenario_id');

alter table public.forecast_versions enable always trigger guard_forecast;
alter table public.tour_instances enable always trigger guard_forecast;
alter table public.routing_scenarios enable always trigger guard_forecast;
alter table public.routing_stops enable always trigger guard_forecast;
alter table public.routing_vehicles enable always trigger guard_forecast;
alter table public.plan_versions enable always trigger guard_plan;
alter table public.plan_versions enable always trigger guard_truncate;
alter table public.assignments enable always trigger guard_assignment;
alter table public.assignments enable always trigger guard_truncate;
alter table public.routing_routes enable always trigger guard_route;
alter table public.routing_routes enable always trigger guard_truncate;
alter table public.routing_route_stops enable always trigger guard_route;
alter table public.routing_route_stops enable always trigger guard_truncate;
