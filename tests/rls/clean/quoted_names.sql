-- What: Capitals, spaces, quotes and a percent sign in the names of schema, tables, columns and policies.
-- Exploit: SELECT, and a blind UPDATE.
-- Column: Tenant "ID"
-- Setting: App.Tenant
-- @schema
create schema "My ""Shop"" 100%";
grant usage on schema "My ""Shop"" 100%" to app_user;
create table "My ""Shop"" 100%"."Sales Orders" ("Order No" serial primary key, "Tenant ""ID""" uuid not null, "it's" text not null);
create table "My ""Shop"" 100%"."Order.Lines" ("Line No" serial primary key, "Order No" int not null
  references "My ""Shop"" 100%"."Sales Orders",
  "Text" text not null);
alter table "My ""Shop"" 100%"."Sales Orders" enable row level security;
alter table "My ""Shop"" 100%"."Sales Orders" force row level security;
alter table "My ""Shop"" 100%"."Order.Lines" enable row level security;
alter table "My ""Shop"" 100%"."Order.Lines" force row level security;
create policy "Only %s" on "My ""Shop"" 100%"."Sales Orders" using ("Tenant ""ID""" = nullif(current_setting('App.Tenant', true),
  '')::uuid);
create policy "By order" on "My ""Shop"" 100%"."Order.Lines"
  using (exists (select from "My ""Shop"" 100%"."Sales Orders" o where o."Order No" = "Order.Lines"."Order No"));
grant select, insert, update, delete on all tables in schema "My ""Shop"" 100%" to app_user;
grant usage on all sequences in schema "My ""Shop"" 100%" to app_user;
-- @rows
insert into "My ""Shop"" 100%"."Sales Orders" ("Tenant ""ID""", "it's") values (:'A', 'A-row'), (:'B', 'B-secret');
insert into "My ""Shop"" 100%"."Order.Lines" ("Order No", "Text") select "Order No", "it's" from "My ""Shop"" 100%"."Sales Orders";
-- @control
select from "My ""Shop"" 100%"."Order.Lines" where "Text" = 'A-row';
-- @attack
update "My ""Shop"" 100%"."Sales Orders" set "it's" = 'taken';
-- @look
select from "My ""Shop"" 100%"."Sales Orders" where "it's" = 'taken' and "Tenant ""ID""" = :'B';
