-- What: Functions of the owner's that grant a right on what they make, and whose tables are called grant and policy.
-- Exploit: Call it, then read.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
create table "grant" (id int, policy text);
grant select on "grant" to app_user;
create function note(p_policy text) returns bigint language sql security definer
  set search_path = pg_catalog, pg_temp as $$ select count(*) from public."grant" where policy = p_policy $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select note('x');
select body from items where body = 'B-secret';
