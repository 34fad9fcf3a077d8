-- What: A definer function without a search path of its own; who calls it chooses what its names mean.
-- Class: function_definer|function_search_path
-- Object: public.my_documents()
-- Exploit: A temporary table sessions takes the place of the real one, in which no token of tenant B's is known to A.
-- Session: app.token = token-a
-- @superuser
create table sessions (token text primary key, tenant_id uuid not null);
create table documents (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table documents enable row level security;
alter table documents force row level security;
create policy tenant on documents using (tenant_id::text = current_setting('app.tenant_id', true));
create function my_documents() returns setof text language plpgsql stable security definer as $$
begin
  return query select d.body from documents d join sessions s on s.tenant_id = d.tenant_id where s.token = current_setting('app.token',
    true);
end $$;
grant select, insert, update, delete on documents to app_user;
-- @rows
insert into sessions values ('token-a', :'A'), ('token-b-1f8d', :'B');
insert into documents (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function my_documents() returns setof text language plpgsql stable security definer
  set search_path = pg_catalog, public, pg_temp as $$
begin
  return query select d.body from public.documents d join public.sessions s on s.tenant_id = d.tenant_id
    where s.token = current_setting('app.token', true) and d.tenant_id::text = current_setting('app.tenant_id', true);
end $$;
-- @control
select from my_documents() d where d = 'A-row';
-- @exploit
create temporary table sessions (token text, tenant_id uuid);
insert into sessions values ('token-a', :'B');
grant select on sessions to public;
select d from my_documents() d where d = 'B-secret';
