-- What: Slugs are unique over all tenants, by an index and not by a constraint; a trigger hands the page over to whoever claims its slug.
-- Class: trigger_copies|cross_tenant_leak|function_definer
-- Object: public.pages
-- Exploit: INSERT … ON CONFLICT DO NOTHING with B's slug.
-- @superuser
create table pages (id bigint generated always as identity primary key, tenant_id uuid not null, slug text not null, body text not null);
create unique index pages_slug on pages (slug);
alter table pages enable row level security;
alter table pages force row level security;
create policy tenant on pages using (tenant_id::text = current_setting('app.tenant_id', true));
create function pages_claim() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.pages p set tenant_id = new.tenant_id where p.slug = new.slug;
  return new;
end $$;
create trigger claim before insert on pages for each row execute function pages_claim();
grant select, insert on pages to app_user;
-- @rows
insert into pages (tenant_id, slug, body) values (:'A', 'a', 'A-row'), (:'B', 'b', 'B-secret');
-- @fix
drop trigger claim on pages;
-- @control
select from pages where tenant_id = :'A';
-- @exploit
insert into pages (tenant_id, slug, body) values (:'A', 'b', 'mine') on conflict do nothing;
select body from pages where body = 'B-secret';
