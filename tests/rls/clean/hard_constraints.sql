-- What: A table for which a row is hard to invent: enum, domain, CHECKs over several columns, ranges, arrays, a generated column,
--   exclusion.
-- Exploit: SELECT.
-- @superuser
create extension btree_gist;
-- @schema
create type state as enum ('draft', 'open', 'closed');
create domain percent as numeric(5, 2) check (value between 0 and 100);
create table leases (
  id bigint generated always as identity primary key, tenant_id uuid not null,
  state state not null default 'draft', share percent not null, contract_no char(10) not null check (contract_no ~ '^[A-Z]{3}-[0-9]{6}$'),
  during daterange not null check (not isempty(during) and lower(during) >= '2000-01-01'),
  low int not null, high int not null, check (low < high and high - low <= 10),
  tags text[] not null check (cardinality(tags) between 1 and 3), span int generated always as (high - low) stored,
  contact jsonb not null check (contact ? 'email'), unit int not null,
  unique (tenant_id, contract_no), exclude using gist (tenant_id with =, unit with =, during with &&));
alter table leases enable row level security;
alter table leases force row level security;
create policy tenant on leases using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on leases to app_user;
-- @rows
insert into leases (tenant_id, share, contract_no, during, low, high, tags, contact, unit)
  select t, 50, 'ABC-000001', '[2024-01-01, 2025-01-01)', 1, 5, '{x}', '{"email": "B-secret"}', 1 from unnest(array[:'A', :'B']::uuid[]) t;
-- @control
select from leases where tenant_id = :'A';
-- @attack
select from leases where tenant_id = :'B';
