-- What: FOR ALL is strict; a second policy lets "anyone insert", for a public form. Permissive checks are ORed.
-- Class: policy_write_unchecked|policy_widens
-- Object: public.leads
-- Exploit: INSERT for tenant B.
-- @schema
create table leads (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table leads enable row level security;
alter table leads force row level security;
create policy tenant on leads using (tenant_id::text = current_setting('app.tenant_id', true));
create policy "public form" on leads for insert with check (true);
grant select, insert, update, delete on leads to app_user;
-- @rows
insert into leads (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
drop policy "public form" on leads;
-- @control
insert into leads (tenant_id, body) values (:'A', 'A-new') returning id;
-- @exploit
insert into leads (tenant_id, body) values (:'B', 'planted');
-- @look
select body from leads where tenant_id = :'B' and body = 'planted';
