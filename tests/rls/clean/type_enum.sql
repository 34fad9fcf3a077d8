-- What: The tenant is an enum, compared as an enum.
-- Exploit: shop_eu begins with shop, and is another value.
-- Column: shop
-- Setting: app.shop
-- A: shop
-- B: shop_eu
-- @schema
create type shop_code as enum ('shop', 'shop_eu', 'outlet');
create table sales (id bigint generated always as identity primary key, shop shop_code not null, memo text not null);
alter table sales enable row level security;
alter table sales force row level security;
create policy shop on sales using (shop = nullif(current_setting('app.shop', true), '')::shop_code);
grant select, insert, update, delete on sales to app_user;
-- @rows
insert into sales (shop, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from sales where shop = 'shop';
-- @attack
select memo from sales where memo = 'B-secret';
