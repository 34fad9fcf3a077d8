-- What: Columns are granted one by one; a second policy shows published rows, whose keys and totals may be read.
-- Class: policy_widens
-- Object: public.tickets
-- Exploit: SELECT the columns that are granted.
-- @schema
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text, total numeric not null default 0,
  status text not null default 'open');
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true));
create policy published on tickets for select using (status = 'published');
grant select (id, total, status), update (status), insert (tenant_id, body, status) on tickets to app_user;
-- @rows
insert into tickets (tenant_id, body, total, status) values (:'A', 'A-row', 1, 'open'), (:'B', 'B-secret', 7, 'published');
-- @fix
drop policy published on tickets;
-- @control
select id from tickets where id = 1;
-- @exploit
select id, total from tickets where id = 2;
