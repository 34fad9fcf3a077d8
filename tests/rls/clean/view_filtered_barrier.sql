-- What: A view with a superuser's rights that filters by the tenant itself, as a security barrier, with a check option.
-- Exploit: A cheap function in WHERE, and writing for tenant B through the view.
-- Refused: 44000
-- @superuser
create table letters (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table letters enable row level security;
alter table letters force row level security;
create policy tenant on letters using (tenant_id::text = current_setting('app.tenant_id', true));
create view my_letters with (security_barrier = true, check_option = cascaded) as
  select id, tenant_id, body from letters where tenant_id::text = current_setting('app.tenant_id', true);
grant select, insert, update, delete on my_letters to app_user;
-- @rows
insert into letters (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from my_letters where body = 'A-row';
-- @attack
create function pg_temp.look(text) returns boolean language plpgsql cost 0.0000001 as $$
begin
  perform set_config('loot.text', coalesce(current_setting('loot.text', true), '') || $1, false);
  return true;
end $$;
select count(*) from my_letters where pg_temp.look(body);
insert into my_letters (tenant_id, body) values (:'B', 'planted');
update my_letters set tenant_id = :'B';
delete from my_letters;
select from my_letters where current_setting('loot.text', true) like '%B-secret%';
-- @look
select from letters where tenant_id = :'B' having count(*) <> 1;
