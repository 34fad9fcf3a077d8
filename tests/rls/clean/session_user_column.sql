-- What: A row is shown to the user it is of, in the session of the tenant: the policy compares a second column with a second setting, and
--   a third with a word.
-- Exploit: The user's setting is any session's to set, and the tenant's is asked for beside it.
-- Session: app.user_id = user-of-{id}
-- @schema
create table drafts (id bigint generated always as identity primary key, tenant_id uuid not null, author text not null, state text,
  body text not null, check (state in ('open', 'published')));
alter table drafts enable row level security;
alter table drafts force row level security;
create policy own on drafts using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
  and author = current_setting('app.user_id', true) and state = 'open');
grant select, insert, update, delete on drafts to app_user;
-- @rows
insert into drafts (tenant_id, author, state, body) values (:'A', 'user-of-' || :'A', 'open', 'A-row'),
  (:'B', 'user-of-' || :'B', 'open', 'B-secret');
-- @control
select from drafts where body = 'A-row';
-- @attack
select set_config('app.user_id', 'user-of-' || :'B', false);
select from drafts where body = 'B-secret';
