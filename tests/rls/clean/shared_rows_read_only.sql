-- What: Rows without a tenant are everybody's to read and nobody's to write: what is NULL was put there by the platform.
-- Exploit: Change the standard, insert another, give one's own row away.
-- @schema
create table mail_templates (id bigint generated always as identity primary key, tenant_id uuid, body text not null);
alter table mail_templates enable row level security;
alter table mail_templates force row level security;
create policy r on mail_templates for select using (tenant_id is null or tenant_id::text = current_setting('app.tenant_id', true));
create policy w on mail_templates using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on mail_templates to app_user;
-- @rows
insert into mail_templates (tenant_id, body) values (:'A', 'A-row'), (null, 'the standard'), (:'B', 'B-secret');
-- @control
select from mail_templates where body = 'the standard';
-- @attack
update mail_templates set body = 'changed';
insert into mail_templates (tenant_id, body) values (null, 'planted');
update mail_templates set tenant_id = null;
-- @look
select from mail_templates where tenant_id is null and body <> 'the standard' or tenant_id = :'B' and body <> 'B-secret';
