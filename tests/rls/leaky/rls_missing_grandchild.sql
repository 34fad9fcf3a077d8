-- What: Two steps from the tenant column, in a schema of its own, under names that need quotes.
-- Class: rls_missing
-- Object: Field Service.Part Notes
-- Exploit: SELECT from the grandchild.
-- Column: Tenant Code
-- A: acme
-- B: globex
-- @schema
create schema "Field Service";
create table "Field Service"."Jobs" ("Job No" int primary key, "Tenant Code" varchar(20) not null);
create table "Field Service"."Parts" (id int primary key, "Job No" int not null references "Field Service"."Jobs");
create table "Field Service"."Part Notes" (id int primary key, part_id int not null references "Field Service"."Parts", "Note" text);
alter table "Field Service"."Jobs" enable row level security;
alter table "Field Service"."Jobs" force row level security;
alter table "Field Service"."Parts" enable row level security;
alter table "Field Service"."Parts" force row level security;
create policy "By tenant" on "Field Service"."Jobs" using ("Tenant Code" = current_setting('app.tenant_id', true));
create policy "By job" on "Field Service"."Parts"
  using (exists (select from "Field Service"."Jobs" j where j."Job No" = "Parts"."Job No"));
grant usage on schema "Field Service" to app_user;
grant select, insert, update, delete on all tables in schema "Field Service" to app_user;
-- @rows
insert into "Field Service"."Jobs" values (1, :'A'), (2, :'B');
insert into "Field Service"."Parts" values (1, 1), (2, 2);
insert into "Field Service"."Part Notes" values (1, 1, 'A-row'), (2, 2, 'B-secret');
-- @fix
alter table "Field Service"."Part Notes" enable row level security;
alter table "Field Service"."Part Notes" force row level security;
create policy "By part" on "Field Service"."Part Notes"
  using (exists (select from "Field Service"."Parts" p where p.id = "Part Notes".part_id));
-- @control
select from "Field Service"."Part Notes" where "Note" = 'A-row';
-- @exploit
select "Note" from "Field Service"."Part Notes" where "Note" = 'B-secret';
