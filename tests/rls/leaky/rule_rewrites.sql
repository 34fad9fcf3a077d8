-- What: A rule mirrors each insert into a search table; it writes with the rights of the table's owner, and the mirror is open.
-- Class: rule_rewrites|rls_missing
-- Object: public.notes | public.note_search
-- Exploit: SELECT from the mirror, which has no tenant column.
-- @schema
create table notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = current_setting('app.tenant_id', true));
create table note_search (words text not null);
create rule mirror as on insert to notes do also insert into note_search values (new.body);
grant select, insert on notes to app_user;
grant select on note_search to app_user;
-- @rows
insert into notes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
revoke select on note_search from app_user;
-- @control
select from notes where tenant_id = :'A';
-- @tenant_b
insert into notes (tenant_id, body) values (:'B', 'B-secret');
-- @exploit
select words from note_search where words = 'B-secret';
