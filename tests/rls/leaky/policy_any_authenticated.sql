-- What: "Enable read access for authenticated users": true for every user of every tenant.
-- Class: policy_always_true|policy_widens
-- Object: public.documents
-- Exploit: SELECT as any signed-in user.
-- Source: a template of the Supabase dashboard
-- Column: org_id
-- Setting: request.jwt.claims
-- Value: {"role": "authenticated", "org_id": "{id}"}
-- @schema
create table documents (id bigint generated always as identity primary key, org_id uuid not null, title text not null);
alter table documents enable row level security;
alter table documents force row level security;
create policy "read for authenticated" on documents for select
  using (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'role' = 'authenticated');
create policy "write own org" on documents for insert
  with check (org_id = (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'org_id')::uuid);
grant select, insert on documents to app_user;
-- @rows
insert into documents (org_id, title) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy "read for authenticated" on documents;
create policy "read own org" on documents for select
  using (org_id = (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'org_id')::uuid);
-- @control
select from documents where org_id = :'A';
-- @exploit
select title from documents where title = 'B-secret';
