-- What: An operator of the team's own lets uuid be compared with text; it takes an empty text for "any". The policy reads as an equality.
-- Class: policy_empty_tenant|policy_unset_tenant|policy_loose_match
-- Object: public.routes
-- Exploit: RESET: the setting reads as ''.
-- @schema
create function uuid_is(uuid, text) returns boolean language sql immutable as $$ select $2 = '' or $1::text = $2 $$;
create operator = (leftarg = uuid, rightarg = text, function = uuid_is);
create table routes (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table routes enable row level security;
alter table routes force row level security;
create policy tenant on routes using (tenant_id = current_setting('app.tenant_id', true));
grant select, insert, update, delete on routes to app_user;
-- @rows
insert into routes (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy tenant on routes using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from routes where tenant_id = :'A';
-- @exploit
reset app.tenant_id;
select body from routes where body = 'B-secret';
