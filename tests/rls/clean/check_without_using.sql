-- What: A policy FOR ALL with a WITH CHECK alone: the application may write messages to the log, and has grants on it for more.
-- Exploit: None: without a USING no row is shown, changed or deleted.
-- @schema
create table messages (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table topics (id bigint generated always as identity primary key, tenant_id uuid not null, title text not null);
alter table messages enable row level security;
alter table messages force row level security;
alter table topics enable row level security;
alter table topics force row level security;
create policy writes on messages with check (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on topics using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on messages, topics to app_user;
-- @rows
insert into messages (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into topics (tenant_id, title) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from topics where tenant_id = :'A';
-- @attack
update messages set body = 'planted';
select body from messages where body = 'B-secret';
