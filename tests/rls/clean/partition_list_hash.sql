-- What: Partitioned by lists of tenants, the lists by a hash of the row's key. The application may also use one list's partition by its name,
--   which has the policy too.
-- Exploit: None: neither the table nor its partition shows another tenant's row.
-- Column: region
-- Setting: app.region
-- A: eu
-- B: us
-- @schema
create table items (id bigint generated always as identity, region text not null, body text not null) partition by list (region);
create table items_west partition of items for values in ('eu', 'us', 'uk') partition by hash (id);
create table items_west_0 partition of items_west for values with (modulus 2, remainder 0);
create table items_west_1 partition of items_west for values with (modulus 2, remainder 1);
create table items_rest partition of items default;
alter table items enable row level security;
alter table items force row level security;
alter table items_west enable row level security;
alter table items_west force row level security;
create policy region on items using (region = nullif(current_setting('app.region', true), ''));
create policy region on items_west using (region = nullif(current_setting('app.region', true), ''));
grant select, insert, update, delete on items, items_west to app_user;
-- @rows
insert into items (region, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items_west where region = 'eu';
-- @attack
select body from items_west where body = 'B-secret' union all select body from items where body = 'B-secret';
