-- What: A path of organisational units, compared without its separator: /1 is above /1/4 and seems to be above /12.
-- Class: policy_prefix_match
-- Object: public.assets
-- Exploit: SELECT as /1.
-- Column: org_path
-- Setting: app.org_path
-- A: /1
-- B: /12
-- @schema
create table assets (id bigint generated always as identity primary key, org_path text not null, body text not null);
alter table assets enable row level security;
alter table assets force row level security;
create policy unit on assets using (starts_with(org_path, nullif(current_setting('app.org_path', true), '')));
grant select, insert, update, delete on assets to app_user;
-- @rows
insert into assets (org_path, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy unit on assets using (org_path = nullif(current_setting('app.org_path', true), ''));
-- @control
select from assets where org_path = :'A';
-- @exploit
select body from assets where body = 'B-secret';
