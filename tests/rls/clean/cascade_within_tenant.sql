-- What: ON DELETE CASCADE along composite keys: what is deleted is the own tenant's.
-- Exploit: Delete the own parent that has B's number.
-- @schema
create table tags (tenant_id uuid not null, name text not null, primary key (tenant_id, name));
create table tagged (id bigint generated always as identity primary key, tenant_id uuid not null, tag text not null,
  foreign key (tenant_id, tag) references tags on delete cascade);
alter table tags enable row level security;
alter table tags force row level security;
alter table tagged enable row level security;
alter table tagged force row level security;
create policy tenant on tags using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on tagged using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, delete on tags to app_user;
grant select, insert, update, delete on tagged to app_user;
-- @rows
insert into tags values (:'A', 'urgent'), (:'B', 'urgent');
insert into tagged (tenant_id, tag) values (:'A', 'urgent'), (:'B', 'urgent');
-- @control
select from tagged where tenant_id = :'A';
-- @attack
delete from tags where name = 'urgent';
-- @look
select from tagged where tenant_id = :'B' having count(*) <> 1;
