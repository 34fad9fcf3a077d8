-- What: Deals refer to the tenants' own table by a column of another name, which their policy compares; lines of deals follow them.
-- Exploit: none: the column that has to be there is the tenant's, another one that may be NULL names who proposed the deal.
-- A: 11111111-1111-4111-8111-111111111111
-- B: 22222222-2222-4222-8222-222222222222
-- @schema
create table tenants (id uuid primary key, name text not null);
alter table tenants enable row level security;
create policy self on tenants for select using (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on tenants to app_user;
create table offices (id bigint generated always as identity primary key, tenant_id uuid not null references tenants, city text not null);
alter table offices enable row level security;
create policy tenant on offices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on offices to app_user;
create table deals (id bigint generated always as identity primary key, company uuid not null references tenants,
  proposed_by uuid references tenants, body text not null);
create table deal_lines (id bigint generated always as identity primary key, deal_id bigint not null references deals, body text not null);
grant select on deals, deal_lines to app_user;
alter table deals enable row level security;
create policy tenant on deals using (company = nullif(current_setting('app.tenant_id', true), '')::uuid);
alter table deal_lines enable row level security;
create policy tenant on deal_lines using (exists (select from deals d where d.id = deal_id));
-- @rows
insert into tenants values (:'A', 'A-row'), (:'B', 'B-name');
insert into deals (company, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into deal_lines (deal_id, body) select id, body from deals;
-- @control
select from deal_lines where body = 'A-row' and exists (select from deals);
-- @attack
select from (select body from deals union all select body from deal_lines) x where body like '%B-secret%';
