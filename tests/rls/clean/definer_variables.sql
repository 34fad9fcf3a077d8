-- What: Functions with their owner's rights hold the tenant in a variable: declared, assigned, or selected into.
-- Exploit: None: it is the session's own.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function declared() returns setof items language plpgsql security definer set search_path = public, pg_temp as $$
declare
  mine constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
begin
  return query select * from items where tenant_id = mine;
end $$;
create function selected() returns setof items language plpgsql security definer set search_path = public, pg_temp as $$
declare
  mine items.tenant_id%type;
begin
  select nullif(current_setting('app.tenant_id', true), '')::uuid into mine;
  if mine is null then
    raise exception 'no tenant';
  end if;
  return query select * from items where tenant_id = mine;
end $$;
create procedure put(words text) language plpgsql security definer set search_path = public, pg_temp as $$
declare
  mine uuid;
begin
  mine := nullif(current_setting('app.tenant_id', true), '')::uuid;
  insert into items (tenant_id, body) values (mine, words);
  update items set body = words where tenant_id = mine;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
call put('x');
select body from declared() where body = 'B-secret' union select body from selected() where body = 'B-secret';
