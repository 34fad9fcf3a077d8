-- What: A trigger keeps a search index for all tables: one shared table, filled with the owner's rights, open to read.
-- Class: trigger_copies|rls_missing
-- Object: public.articles | public.search_index | public.index_article
-- Exploit: SELECT from the index.
-- @schema
create table articles (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table articles enable row level security;
alter table articles force row level security;
create policy tenant on articles using (tenant_id::text = current_setting('app.tenant_id', true));
create table search_index (source text not null, words tsvector not null, snippet text not null);
create function index_article() returns trigger language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into public.search_index values ('articles', to_tsvector('simple', new.body), new.body);
  return new;
end $$;
create trigger index_article after insert on articles for each row execute function index_article();
grant select, insert, update, delete on articles to app_user;
grant select on search_index to app_user;
-- @rows
insert into articles (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke select on search_index from app_user;
-- @control
select from articles where tenant_id = :'A';
-- @exploit
select snippet from search_index where snippet = 'B-secret';
