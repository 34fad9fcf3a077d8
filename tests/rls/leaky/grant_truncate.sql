-- What: GRANT ALL gives TRUNCATE too, which no policy binds.
-- Class: grant_truncate
-- Object: public.events
-- Exploit: TRUNCATE empties the table for all tenants.
-- @schema
create table events (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table events enable row level security;
alter table events force row level security;
create policy tenant on events using (tenant_id::text = current_setting('app.tenant_id', true));
grant all on events to app_user;
-- @rows
insert into events (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke truncate, references, trigger on events from app_user;
-- @control
select from events where tenant_id = :'A';
-- @exploit
truncate events;
-- @look
select 'gone' where not exists (select from events where tenant_id = :'B');
