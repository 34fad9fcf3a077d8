-- What: Templates without a tenant are everybody's to read, and one policy for ALL makes them everybody's to write.
-- Class: policy_null_tenant
-- Object: public.mail_templates
-- Exploit: Tenant A rewrites the template from which tenant B's mails are sent.
-- @schema
create table mail_templates (id bigint generated always as identity primary key, tenant_id uuid, body text not null);
alter table mail_templates enable row level security;
alter table mail_templates force row level security;
create policy tenant on mail_templates using (tenant_id is null or tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on mail_templates to app_user;
-- @rows
insert into mail_templates (tenant_id, body) values (:'A', 'A-row'), (null, 'the standard');
-- @fix
alter policy tenant on mail_templates using (tenant_id::text = current_setting('app.tenant_id', true));
create policy standard on mail_templates for select using (tenant_id is null);
-- @control
select from mail_templates where body = 'the standard';
-- @exploit
update mail_templates set body = 'send your password to A' where tenant_id is null;
-- @look
select body from mail_templates where tenant_id is null and body like 'send your password%';
