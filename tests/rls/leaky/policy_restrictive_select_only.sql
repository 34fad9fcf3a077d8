-- What: The tenant test is restrictive, for SELECT alone; the permissive policy beneath is true for every command.
-- Class: policy_always_true|policy_write_unchecked
-- Object: public.webhooks
-- Exploit: A blind UPDATE changes every tenant's rows.
-- @schema
create table webhooks (id bigint generated always as identity primary key, tenant_id uuid not null, url text not null);
alter table webhooks enable row level security;
alter table webhooks force row level security;
create policy everybody on webhooks using (true) with check (true);
create policy tenant on webhooks as restrictive for select using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on webhooks to app_user;
-- @rows
insert into webhooks (tenant_id, url) values (:'A', 'https://a.example'), (:'B', 'https://b.example');
-- @fix
drop policy tenant on webhooks;
create policy tenant on webhooks as restrictive using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from webhooks where tenant_id = :'A';
-- @exploit
update webhooks set url = 'https://a.example/everything';
-- @look
select url from webhooks where tenant_id = :'B' and url = 'https://a.example/everything';
