-- What: The old row is tested, WITH CHECK (true) lets the new one be anybody's.
-- Class: policy_write_unchecked
-- Object: public.tickets
-- Exploit: A blind UPDATE moves A's row to tenant B, who now sees what A wrote as its own. (With WHERE the SELECT policy would look at it.)
-- @schema
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy r on tickets for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy u on tickets for update using (tenant_id::text = current_setting('app.tenant_id', true)) with check (true);
grant select, update on tickets to app_user;
-- @rows
insert into tickets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
alter policy u on tickets with check (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from tickets where tenant_id = :'A';
-- @exploit
update tickets set tenant_id = :'B', body = 'pay to this account';
-- @look
select body from tickets where tenant_id = :'B' and body = 'pay to this account';
