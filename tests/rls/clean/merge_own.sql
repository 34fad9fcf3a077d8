-- What: Unique within the tenant: MERGE finds the own rows only, and inserts none for another.
-- Exploit: MERGE over a slug that B has, too: to change it, to delete it, to add one more of B's.
-- Since: 15
-- @schema
create table shops (tenant_id uuid not null, slug text not null, target text not null, primary key (tenant_id, slug));
alter table shops enable row level security;
alter table shops force row level security;
create policy tenant on shops using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on shops to app_user;
-- @rows
insert into shops values (:'A', 'x', 'A-row'), (:'B', 'x', 'B-row');
-- @control
select from shops where tenant_id = :'A';
-- @attack
merge into shops s using (values ('x')) v(slug) on s.slug = v.slug when matched then update set target = 'taken';
merge into shops s using (values ('x')) v(slug) on s.slug = v.slug when matched then delete;
merge into shops s using (values ('y')) v(slug) on s.slug = v.slug when not matched then insert values (:'B', v.slug, 'taken');
-- @look
select 'changed' where (select count(*) from shops where tenant_id = :'B' and target = 'B-row') <> 1
  or (select count(*) from shops where tenant_id = :'B') <> 1;
