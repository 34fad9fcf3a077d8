-- What: Whoever may see a row may delete it, the author thought, and wrote USING (true) for DELETE.
-- Class: policy_always_true|policy_write_unchecked
-- Object: public.sessions
-- Exploit: A blind DELETE reads no column, so the SELECT policy does not apply.
-- @schema
create table sessions (id bigint generated always as identity primary key, tenant_id uuid not null, token text not null);
alter table sessions enable row level security;
alter table sessions force row level security;
create policy r on sessions for select using (tenant_id::text = current_setting('app.tenant_id', true));
create policy c on sessions for insert with check (tenant_id::text = current_setting('app.tenant_id', true));
create policy d on sessions for delete using (true);
grant select, insert, delete on sessions to app_user;
-- @rows
insert into sessions (tenant_id, token) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy d on sessions using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from sessions where tenant_id = :'A';
-- @exploit
delete from sessions;
-- @look
select 'gone' where not exists (select from sessions where tenant_id = :'B');
