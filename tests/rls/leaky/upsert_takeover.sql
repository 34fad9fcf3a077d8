-- What: Shop addresses are public to read, by design. UPDATE tests the new row only, and ON CONFLICT DO UPDATE is an UPDATE.
-- Class: policy_always_true|policy_write_unchecked
-- Object: public.shops
-- Exploit: INSERT … ON CONFLICT (slug) DO UPDATE takes tenant B's address.
-- @schema
create table shops (slug text primary key, tenant_id uuid not null, owner_mail text not null);
alter table shops enable row level security;
alter table shops force row level security;
create policy r on shops for select using (true);
create policy c on shops for insert with check (tenant_id::text = current_setting('app.tenant_id', true));
create policy u on shops for update using (true) with check (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update on shops to app_user;
-- @rows
insert into shops values ('a', :'A', 'a@example.org'), ('b', :'B', 'b@example.org');
-- @fix
alter policy r on shops using (tenant_id::text = current_setting('app.tenant_id', true));
alter policy u on shops using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from shops where tenant_id = :'A';
-- @exploit
insert into shops values ('b', :'A', 'a@example.org') on conflict (slug) do update
  set tenant_id = excluded.tenant_id, owner_mail = excluded.owner_mail;
-- @look
select 'taken' from shops where slug = 'b' and tenant_id = :'A';
