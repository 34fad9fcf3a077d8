-- What: A share is its document's tenant's to write: WITH CHECK asks whose the document is.
-- Exploit: None: a share of B's document is refused.
-- @schema
create table documents (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table shares (tenant_id uuid not null, document_id bigint not null references documents, shared_with uuid not null,
  primary key (document_id, shared_with));
alter table documents enable row level security;
alter table documents force row level security;
alter table shares enable row level security;
alter table shares force row level security;
create policy tenant on documents using (tenant_id::text = current_setting('app.tenant_id', true));
create policy tenant on shares using (tenant_id::text = current_setting('app.tenant_id', true)) with check (
  tenant_id::text = current_setting('app.tenant_id', true) and exists (select from documents d where d.id = document_id
    and d.tenant_id = shares.tenant_id));
grant select, insert, update, delete on documents to app_user;
grant select, insert, delete on shares to app_user;
-- @rows
insert into documents (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
insert into shares (tenant_id, document_id, shared_with) select :'A', id, :'B' from documents returning 1;
-- @attack
insert into shares select :'A', n, :'A' from generate_series(1, 2) n;
select body from documents where body = 'B-secret';
