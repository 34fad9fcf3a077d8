-- What: A cursor over the tenant's own rows, with a variable that holds the tenant when it is opened; and EXECUTE of a text that stands there.
-- Exploit: None: it is the session's own.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null, state text default 'Open');
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function listed(p_kind int) returns setof text language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v uuid;
  c cursor for select i.body from items i where i.tenant_id = v and i.state = 'Open';
  word text;
  n bigint;
begin
  v := nullif(current_setting('app.tenant_id', true), '')::uuid;
  open c;
  loop
    fetch c into word;
    exit when not found;
    return next word;
  end loop;
  close c;
  update items set state = 'Seen' where tenant_id = v;
  get diagnostics n = row_count;
  case p_kind
    when 1, 2 then
      execute 'select count(*) from items where tenant_id::text = current_setting(''app.tenant_id'', true)' into n;
      return next n::text;
    else
      null;
  end case;
end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
select l from generate_series(1, 3) n, listed(n) l where l = 'B-secret';
