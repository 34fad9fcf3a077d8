-- What: A function with its owner's rights writes into an own row what a subquery reads of any tenant's: SET of an INSERT … ON CONFLICT.
-- Class: function_definer
-- Object: public.copy_note(bigint)
-- Exploit: Call it with the id of tenant B's row, and read the own one.
-- Refused: 23502
-- @schema
create table notes (id bigint primary key, tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
grant select on notes to app_user;
-- @superuser
create function copy_note(p_id bigint) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into public.notes as o (id, tenant_id, body)
    values (p_id - 1, nullif(current_setting('app.tenant_id', true), '')::uuid, 'x')
    on conflict (id) do update
    set body =
    (select n.body from public.notes n where n.id = p_id)
    where o.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid $$;
-- @rows
insert into notes values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @fix
create or replace function copy_note(p_id bigint) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into public.notes as o (id, tenant_id, body)
    values (p_id - 1, nullif(current_setting('app.tenant_id', true), '')::uuid, 'x')
    on conflict (id) do update
    set body =
    (select n.body from public.notes n where n.id = p_id and n.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    where o.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid $$;
-- @control
select from notes where tenant_id = :'A';
-- @exploit
select copy_note(2::bigint);
select from notes where body = 'B-secret';
