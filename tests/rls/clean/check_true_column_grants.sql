-- What: WITH CHECK (true) for UPDATE; but the application has no right to the tenant column, and none to insert.
-- Exploit: Move a row, insert one.
-- @schema
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy r on tickets for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy u on tickets for update using (tenant_id::text = current_setting('app.tenant_id', true)) with check (true);
create policy c on tickets for insert with check (true);
create policy d on tickets for delete using (true);
grant select, update (body) on tickets to app_user;
-- @rows
insert into tickets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @control
update tickets set body = 'A-new' where tenant_id = :'A' returning id;
-- @attack
update tickets set tenant_id = :'B';
insert into tickets (tenant_id, body) values (:'B', 'planted');
delete from tickets;
-- @look
select from tickets where tenant_id = :'B' having count(*) <> 1;
