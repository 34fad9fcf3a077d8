-- What: The same words as a leak: AND and OR, with the parentheses where they belong, and one policy written as NOT … AND.
-- Exploit: Pinned rows of B's.
-- @schema
create table threads (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null,
  archived boolean not null default false, pinned boolean not null default false);
alter table threads enable row level security;
alter table threads force row level security;
create policy r on threads for select using (tenant_id::text = current_setting('app.tenant_id', true) and (not archived or pinned));
create policy w on threads for all using (not (tenant_id::text <> current_setting('app.tenant_id', true)) and not archived);
grant select, insert, update, delete on threads to app_user;
-- @rows
insert into threads (tenant_id, body, pinned) values (:'A', 'A-row', false), (:'B', 'B-secret', true);
-- @control
select from threads where tenant_id = :'A';
-- @attack
update threads set body = 'taken';
select from threads where pinned;
