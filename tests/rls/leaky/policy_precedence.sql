-- What: AND binds tighter than OR: tenant AND not archived OR pinned.
-- Class: policy_precedence
-- Object: public.threads
-- Exploit: Pinned rows of every tenant are visible.
-- @schema
create table threads (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null,
  archived boolean not null default false, pinned boolean not null default false);
alter table threads enable row level security;
alter table threads force row level security;
create policy tenant on threads using (tenant_id::text = current_setting('app.tenant_id', true) and not archived or pinned);
grant select, insert, update, delete on threads to app_user;
-- @rows
insert into threads (tenant_id, body, pinned) values (:'A', 'A-row', false), (:'B', 'B-secret', true);
-- @fix
alter policy tenant on threads using (tenant_id::text = current_setting('app.tenant_id', true) and (not archived or pinned));
-- @control
select from threads where tenant_id = :'A';
-- @exploit
select body from threads where body = 'B-secret';
