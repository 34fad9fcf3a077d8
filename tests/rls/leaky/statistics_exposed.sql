-- What: A monitoring guide had pg_statistic granted to everybody. pg_stats hides what RLS hides, the catalogue beneath does not.
-- Class: statistics_exposed
-- Object: pg_catalog.pg_statistic | public.patients
-- Exploit: SELECT the most common values of a column.
-- @superuser
grant select on pg_catalog.pg_statistic to app_user;
-- @schema
create table patients (id bigint generated always as identity primary key, tenant_id uuid not null, diagnosis text not null);
alter table patients enable row level security;
alter table patients force row level security;
create policy tenant on patients using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on patients to app_user;
-- @rows
insert into patients (tenant_id, diagnosis) select :'B', 'B-secret' from generate_series(1, 50);
insert into patients (tenant_id, diagnosis) values (:'A', 'A-row');
analyze patients;
-- @fix
revoke select on pg_catalog.pg_statistic from app_user;
-- @control
select from patients where tenant_id = :'A';
-- @exploit
select from pg_statistic where starelid = 'patients'::regclass and (stavalues1::text like '%B-secret%'
  or stavalues2::text like '%B-secret%');
