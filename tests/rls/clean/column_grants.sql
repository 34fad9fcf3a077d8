-- What: Columns are granted one by one: the application may read neither the tenant column nor the body.
-- Exploit: Read, change and insert another tenant's row by the columns that are granted.
-- @schema
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text, total numeric not null default 0,
  status text not null default 'open');
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true));
grant select (id, total), update (status), insert (tenant_id, body) on tickets to app_user;
-- @rows
insert into tickets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @control
update tickets set status = 'done' where id = 1 returning id;
-- @attack
select id, total from tickets where id = 2;
update tickets set status = 'done' where id = 2;
insert into tickets (tenant_id, body) values (:'B', 'planted');
-- @look
select from tickets where tenant_id = :'B' and (status = 'done' or body = 'planted');
