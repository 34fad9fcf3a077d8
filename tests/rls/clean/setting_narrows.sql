-- What: Further settings narrow what is seen within the tenant: ANDed, whatever a session puts there.
-- Exploit: Every value of the other settings.
-- @schema
create table cases (id bigint generated always as identity primary key, tenant_id uuid not null, level int not null default 1,
  body text not null);
alter table cases enable row level security;
alter table cases force row level security;
create policy tenant on cases using (tenant_id::text = current_setting('app.tenant_id', true)
  and (level <= coalesce(nullif(current_setting('app.clearance', true), '')::int, 1) or current_setting('app.is_admin', true) = 'true'));
grant select, insert, update, delete on cases to app_user;
-- @rows
insert into cases (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from cases where tenant_id = :'A';
-- @attack
set app.is_admin = 'true';
set app.clearance = '9';
select from cases where body = 'B-secret';
