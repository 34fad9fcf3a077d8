-- What: A rule mirrors inserts into a table with the tenant column and policies of its own; deleting is turned into nothing.
-- Exploit: Read the mirror, delete.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table note_log (tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
alter table note_log enable row level security;
alter table note_log force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on note_log using (tenant_id::text = current_setting('app.tenant_id', true));
create rule mirror as on insert to notes do also insert into note_log values (new.tenant_id, new.body);
create rule keep as on delete to notes do instead nothing;
grant select, insert, update, delete on notes to app_user;
grant select on note_log to app_user;
-- @rows
alter table notes disable rule mirror;
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into note_log select tenant_id, body from notes;
alter table notes enable rule mirror;
-- @control
insert into notes (tenant_id, body) values (:'A', 'A-new');
select from note_log where body = 'A-new';
-- @attack
delete from notes;
select from note_log where body = 'B-secret';
