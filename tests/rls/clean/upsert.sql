-- What: Unique within the tenant: ON CONFLICT finds the own rows only.
-- Exploit: Upsert over a slug that B has, too.
-- @schema
create table shops (tenant_id uuid not null, slug text not null, target text not null, primary key (tenant_id, slug));
alter table shops enable row level security;
alter table shops force row level security;
create policy tenant on shops using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on shops to app_user;
-- @rows
insert into shops values (:'A', 'x', 'A-row'), (:'B', 'x', 'B-row');
-- @control
insert into shops values (:'A', 'x', 'A-new') on conflict (tenant_id, slug) do update set target = excluded.target returning slug;
-- @attack
insert into shops values (:'B', 'x', 'taken') on conflict (tenant_id, slug) do update set target = excluded.target;
-- @look
select from shops where tenant_id = :'B' and target <> 'B-row';
