-- Tables a superuser makes in the platform's schemas are handed to platform_owner, so that the operator, who is no superuser, can mend
-- them: ALTER TABLE … ENABLE ROW LEVEL SECURITY is the owner's. Tables that any other role makes stay that role's.

create function platform.hand_over() returns event_trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid::regclass
      from pg_event_trigger_ddl_commands() d
      join pg_class c on c.oid = d.objid and d.classid = 'pg_class'::regclass
      join pg_namespace n on n.oid = c.relnamespace
      join pg_roles r on r.oid = c.relowner
     where n.nspname in ('public', 'core', 'platform') and c.relkind in ('r', 'p') and r.rolsuper and not d.in_extension
  loop
    execute format('alter table %s owner to platform_owner', v_table);
  end loop;
end
$$;

create event trigger hand_over on ddl_command_end
  when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO') execute function platform.hand_over();
