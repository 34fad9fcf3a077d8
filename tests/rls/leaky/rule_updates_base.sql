-- What: A view made writable by a rule DO INSTEAD: the rule finds the row by its id, with the rights of the view's owner.
-- Class: rule_rewrites|view_owner_rights
-- Object: public.ticket_titles
-- Exploit: The view's rule updates the base table without the tenant; an INSERT rule takes any id.
-- @superuser
create table tickets (id int primary key, tenant_id uuid not null, title text not null);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true));
create view ticket_titles with (security_barrier = true) as
  select id, title from tickets where tenant_id::text = current_setting('app.tenant_id', true);
create rule rename as on insert to ticket_titles do instead update tickets set title = new.title where id = new.id;
grant select, insert on ticket_titles to app_user;
grant select, insert, update, delete on tickets to app_user;
-- @rows
insert into tickets values (1, :'A', 'A-row'), (2, :'B', 'B-row');
-- @fix
drop rule rename on ticket_titles;
create rule rename as on insert to ticket_titles do instead
  update tickets set title = new.title where id = new.id and tenant_id::text = current_setting('app.tenant_id', true);
-- @control
select from ticket_titles where id = 1;
-- @exploit
insert into ticket_titles values (2, 'renamed by A');
-- @look
select title from tickets where id = 2 and title = 'renamed by A';
