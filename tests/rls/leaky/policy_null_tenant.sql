-- What: "Rows without a tenant are nobody's": imports write the tenant later, and until then everybody reads them.
-- Class: policy_null_tenant
-- Object: public.uploads
-- Exploit: Tenant B's upload, not yet assigned, is visible to tenant A.
-- @schema
create table uploads (id bigint generated always as identity primary key, tenant_id uuid, content text not null);
alter table uploads enable row level security;
alter table uploads force row level security;
create policy tenant on uploads using (tenant_id is null or tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on uploads to app_user;
-- @rows
insert into uploads (tenant_id, content) values (:'A', 'A-row'), (null, 'B-secret');
-- @fix
delete from uploads where tenant_id is null;
alter policy tenant on uploads using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from uploads where tenant_id = :'A';
-- @exploit
select content from uploads where content = 'B-secret';
