-- What: A function with its owner's rights shows what a subquery reads of any tenant's, as an arm of a UNION.
-- Class: function_definer
-- Object: public.note(bigint)
-- Exploit: Call it with the id of tenant B's row.
-- @schema
create table notes (id bigint primary key, tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on notes to app_user;
-- @superuser
create function note(p_id bigint) returns setof text language sql security definer set search_path = pg_catalog, pg_temp as $$
  select 'none' where p_id is null
    union all select (select n.body from public.notes n where n.id = p_id) $$;
-- @rows
insert into notes values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @fix
create or replace function note(p_id bigint) returns setof text language sql security definer set search_path = pg_catalog, pg_temp as $$
  select 'none' where p_id is null
    union all select (select n.body from public.notes n
      where n.id = p_id and n.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid) $$;
-- @control
select from notes where tenant_id = :'A';
-- @exploit
select from note(2::bigint) n where n = 'B-secret';
