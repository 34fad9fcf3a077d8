-- What: Tenant codes are compared without case, the column keeps Acme and ACME apart as two customers.
-- Class: policy_prefix_match|policy_loose_match
-- Object: public.quotes
-- Exploit: SELECT as Acme.
-- A: Acme
-- B: ACME
-- @schema
create table quotes (id bigint generated always as identity primary key, tenant_id varchar(40) not null, body text not null);
alter table quotes enable row level security;
alter table quotes force row level security;
create policy tenant on quotes using (lower(tenant_id) = lower(current_setting('app.tenant_id', true)));
grant select, insert, update, delete on quotes to app_user;
-- @rows
insert into quotes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on quotes using (tenant_id = current_setting('app.tenant_id', true));
-- @control
select from quotes where tenant_id = :'A';
-- @exploit
select body from quotes where body = 'B-secret';
