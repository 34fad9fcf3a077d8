-- What: The tenant is an enum, cast to text for LIKE: "shop" is also the beginning of "shop_eu".
-- Class: policy_prefix_match
-- Object: Sales.Daily Totals
-- Exploit: SELECT as shop.
-- Column: Shop
-- Setting: app.shop
-- A: shop
-- B: shop_eu
-- @schema
create schema "Sales";
grant usage on schema "Sales" to app_user;
create type "Sales".shop_code as enum ('shop', 'shop_eu');
create table "Sales"."Daily Totals" (id bigint generated always as identity primary key, "Shop" "Sales".shop_code not null,
  "Memo" text not null);
alter table "Sales"."Daily Totals" enable row level security;
alter table "Sales"."Daily Totals" force row level security;
create policy "Shop" on "Sales"."Daily Totals" using ("Shop"::text ~ ('^' || nullif(current_setting('app.shop', true), '')));
grant select, insert, update, delete on "Sales"."Daily Totals" to app_user;
-- @rows
insert into "Sales"."Daily Totals" ("Shop", "Memo") values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy "Shop" on "Sales"."Daily Totals" using ("Shop"::text = current_setting('app.shop', true));
-- @control
select from "Sales"."Daily Totals" where "Shop" = :'A';
-- @exploit
select "Memo" from "Sales"."Daily Totals" where "Memo" = 'B-secret';
