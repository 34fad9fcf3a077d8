-- What: Default privileges give ALL on whatever is created later: each new table comes with TRUNCATE.
-- Class: grant_truncate
-- Object: public.audit_log
-- Exploit: TRUNCATE … CASCADE.
-- @schema
alter default privileges grant all on tables to app_user;
create table audit_log (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy tenant on audit_log for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy write on audit_log for insert with check (tenant_id::text = current_setting('app.tenant_id', true));
-- @rows
insert into audit_log (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke truncate, references, trigger on audit_log from app_user;
-- @control
select from audit_log where tenant_id = :'A';
-- @exploit
truncate audit_log cascade;
-- @look
select 'gone' where not exists (select from audit_log where tenant_id = :'B');
