-- What: SECURITY DEFINER by the tables' owner, whom FORCE binds: it has more rights, and sees no more rows.
-- Exploit: Call it.
-- @schema
create table members (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
alter table members enable row level security;
alter table members force row level security;
create policy tenant on members using (tenant_id::text = current_setting('app.tenant_id', true));
create function member_emails(p_like text) returns setof text language plpgsql stable security definer set search_path = pg_catalog,
  pg_temp as $$
begin
  return query select m.email from public.members m where m.email like p_like;
end $$;
-- @rows
insert into members (tenant_id, email) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from member_emails('A%');
-- @attack
select from member_emails('B%');
