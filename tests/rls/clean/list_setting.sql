-- What: The setting holds a list of organisations, taken apart and compared one by one.
-- Exploit: 2 is in the text "12", and not in the list.
-- Column: org_id
-- Setting: app.org_ids
-- A: 12
-- B: 2
-- @schema
create table readings (id bigint generated always as identity primary key, org_id int not null, body text not null);
alter table readings enable row level security;
alter table readings force row level security;
create policy orgs on readings using (org_id = any (string_to_array(nullif(current_setting('app.org_ids', true), ''), ',')::int[]));
grant select, insert, update, delete on readings to app_user;
-- @rows
insert into readings (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from readings where org_id = 12;
-- @attack
select from readings where body = 'B-secret';
reset app.org_ids;
select from readings;
