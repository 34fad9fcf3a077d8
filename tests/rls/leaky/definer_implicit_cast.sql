-- What: A cast that an assignment makes by itself reads all rows.
-- Class: function_definer
-- Object: public.held
-- Exploit: Call it.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create type place as (words text);
create function held_by(t text) returns place language sql stable as $$ select row((select string_agg(body, ',') from public.items))::place $$;
create cast (text as place) with function held_by(text) as assignment;
create function held() returns text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  p place;
  t text := 'x';
begin
  p := t;
  return p.words;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function held() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select h from held() h where h like '%B-secret%';
