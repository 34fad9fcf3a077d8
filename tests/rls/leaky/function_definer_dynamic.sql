-- What: The function tests the tenant, and concatenates the filter it is given into its query.
-- Class: function_definer
-- Object: public.filtered_notes(text)
-- Exploit: A filter with OR in it.
-- @superuser
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
create function filtered_notes(p_filter text) returns setof text language plpgsql stable security definer
  set search_path = pg_catalog, public, pg_temp as $$
begin
  return query execute 'select body from public.notes where tenant_id::text = current_setting(''app.tenant_id'', true) and ' || p_filter;
end $$;
grant select, insert, update, delete on notes to app_user;
-- @rows
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function filtered_notes(text) security invoker;
-- @control
select from filtered_notes('body like ''A%''');
-- @exploit
select * from filtered_notes('true or true') n where n = 'B-secret';
