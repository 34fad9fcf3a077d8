-- What: coalesce(…, '1'): tenant 1 was the only one when the policy was written.
-- Class: policy_default_tenant
-- Object: public.articles
-- Exploit: A new connection works for tenant 1.
-- A: 42
-- B: 1
-- @schema
create table articles (id bigint generated always as identity primary key, tenant_id int not null, body text not null);
alter table articles enable row level security;
alter table articles force row level security;
create policy tenant on articles using (tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), ''), '1')::int);
grant select, insert, update, delete on articles to app_user;
-- @rows
insert into articles (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on articles using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
-- @control
select from articles where tenant_id = :'A';
-- @reconnect
select body from articles where body = 'B-secret';
