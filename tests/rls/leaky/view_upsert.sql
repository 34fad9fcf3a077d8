-- What: An updatable view with its owner's rights shows the own tenant's slugs without the tenant, and takes an INSERT … ON CONFLICT.
-- Class: view_owner_rights
-- Object: public.my_links
-- Exploit: The conflict is with tenant B's row, which the view does not show; DO UPDATE changes it.
-- Closed: 14.25, 15.20, 16.16, 17.12, 18.7
-- Refused: 55000
-- FixSince: 15
-- @superuser
create table links (slug text primary key,
  tenant_id uuid not null default nullif(current_setting('app.tenant_id', true), '')::uuid, target text not null);
alter table links enable row level security;
alter table links force row level security;
create policy tenant on links using (tenant_id::text = current_setting('app.tenant_id', true));
create view my_links with (security_barrier = true) as
  select slug, target from links where tenant_id::text = current_setting('app.tenant_id', true);
grant select, insert, update on my_links to app_user;
-- @rows
insert into links values ('a', :'A', 'https://a.example'), ('b', :'B', 'https://b.example');
-- @fix
alter view my_links set (security_invoker = true);
grant select, insert, update on links to app_user;
-- @control
select from my_links where slug = 'a';
-- @exploit
insert into my_links values ('b', 'https://a.example') on conflict (slug) do update set target = excluded.target;
-- @look
select target from links where slug = 'b' and target <> 'https://b.example';
