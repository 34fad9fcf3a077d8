-- What: Table inheritance from the days before partitions: the child has its parent's columns, not its policies.
-- Class: inheritance_child_open|rls_missing
-- Object: archive.messages_2019
-- Exploit: SELECT from the child.
-- @schema
create schema archive;
grant usage on schema archive to app_user;
create table messages (id bigint not null, tenant_id uuid not null, body text not null);
create table archive.messages_2019 (check (id < 1000)) inherits (messages);
alter table messages enable row level security;
alter table messages force row level security;
create policy tenant on messages using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on messages, archive.messages_2019 to app_user;
-- @rows
insert into archive.messages_2019 values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @fix
revoke all on archive.messages_2019 from app_user;
-- @control
select from messages where tenant_id = :'A';
-- @exploit
select body from archive.messages_2019 where body = 'B-secret';
