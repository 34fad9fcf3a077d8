-- What: The setting holds a list of ids, and the policy looks for the id inside its text: 2 is in "12,40".
-- Class: policy_prefix_match
-- Object: public.readings
-- Exploit: SELECT as organisation 12.
-- Column: org_id
-- Setting: app.org_ids
-- A: 12
-- B: 2
-- @schema
create table readings (id bigint generated always as identity primary key, org_id int not null, body text not null);
alter table readings enable row level security;
alter table readings force row level security;
create policy orgs on readings using (position(org_id::text in current_setting('app.org_ids', true)) > 0);
grant select, insert, update, delete on readings to app_user;
-- @rows
insert into readings (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy orgs on readings using (org_id::text = any (string_to_array(current_setting('app.org_ids', true), ',')));
-- @control
select from readings where org_id = :'A';
-- @exploit
select body from readings where body = 'B-secret';
