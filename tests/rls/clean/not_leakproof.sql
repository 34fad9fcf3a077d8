-- What: A function whose error tells its argument, and which does not claim to be LEAKPROOF: the policy comes first.
-- Exploit: In WHERE, with its error caught.
-- @superuser
create function parse_sku(p text) returns int language plpgsql immutable cost 0.0000001 as $$
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
-- @control
select from products where parse_sku(sku) = 1;
-- @attack
do $$ begin
  perform from products where parse_sku(sku) > 0;
exception when raise_exception then
  perform set_config('loot.text', sqlerrm, false);
end $$;
select 1 where current_setting('loot.text', true) like '%B-secret%';
