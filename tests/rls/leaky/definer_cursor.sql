-- What: A cursor's query has a variable in it, which is an argument when it is opened.
-- Class: function_definer
-- Object: public.listed
-- Exploit: Call it with another tenant.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function listed(p_tenant uuid) returns setof text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v uuid;
  c cursor for select i.body from items i where i.tenant_id = v;
  word text;
begin
  v := p_tenant;
  open c;
  loop
    fetch c into word;
    exit when not found;
    return next word;
  end loop;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function listed(uuid) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select l from listed(:'B') l where l = 'B-secret';
