-- What: The policies are all there, ENABLE ROW LEVEL SECURITY was lost in a rebase. A count of policies shows nothing wrong.
-- Class: rls_missing
-- Object: public.messages
-- Exploit: SELECT.
-- Source: splinter 0007, policy exists, RLS disabled
-- @schema
create table messages (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, body text not null);
alter table messages force row level security;
create policy tenant on messages using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on messages to app_user;
-- @rows
insert into messages (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter table messages enable row level security;
-- @control
select from messages where tenant_id = :'A';
-- @exploit
select body from messages where body = 'B-secret';
