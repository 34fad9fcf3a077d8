-- What: Inheritance children without grants; the parent's policies bind whoever comes through it.
-- Exploit: SELECT from the child.
-- @schema
create table messages (id bigint not null, tenant_id uuid not null, body text not null);
create table messages_old () inherits (messages);
alter table messages enable row level security;
alter table messages force row level security;
create policy tenant on messages using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on messages to app_user;
-- @rows
insert into messages_old values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @control
select from messages where tenant_id = :'A';
-- @attack
select body from messages where body = 'B-secret';
select body from messages_old;
