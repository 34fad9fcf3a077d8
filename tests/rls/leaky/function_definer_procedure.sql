-- What: A procedure that cleans up runs with its owner's rights and finds its row by id.
-- Class: function_definer
-- Object: public.close_ticket(integer)
-- Exploit: CALL it with an id of tenant B's.
-- @superuser
create table tickets (id int primary key, tenant_id uuid not null, open boolean not null default true);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true));
create procedure close_ticket(p_id int) language sql security definer set search_path = pg_catalog, public, pg_temp
  as $$ update public.tickets set open = false where id = p_id $$;
grant select, insert, update, delete on tickets to app_user;
-- @rows
insert into tickets values (1, :'A'), (2, :'B');
-- @fix
alter procedure close_ticket(int) security invoker;
-- @control
select from tickets where tenant_id = :'A';
-- @exploit
call close_ticket(2);
-- @look
select id from tickets where tenant_id = :'B' and not open;
