-- What: A function with its owner's rights looks at every tenant's rows in its conditions alone: what it does tells yes or no, and by
--   enough questions the values.
-- Class: function_definer
-- Object: public.kind_of(text) | public.is_known(text) | public.bucket(text)
-- Exploit: Call them with one pattern after the other.
-- @schema
create table invoices (id int primary key, tenant_id uuid not null, number text);
alter table invoices enable row level security;
create policy tenant on invoices using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid);
grant select on invoices to app_user;
create function numbers() returns text language sql stable as 'select string_agg(number, '','') from public.invoices';
create function kind_of(p text) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if false then return 'n';
  elsif (select string_agg(number, ',') from public.invoices) ~ p then return 'y';
  else return 'z'; end if;
end $$;
create function is_known(p text) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if public.numbers() ~ p then return 'y'; end if;
  return 'n';
end $$;
create function bucket(p text) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  case (select count(*) from public.invoices where number ~ p) when 0 then return 'none'; else return 'some'; end case;
end $$;
-- @rows
insert into invoices values (1, :'A', 'A-row'), (2, :'B', 'B-secret');
-- @fix
alter function kind_of(text) security invoker;
alter function is_known(text) security invoker;
alter function bucket(text) security invoker;
-- @control
select from invoices where tenant_id = :'A';
-- @exploit
select from kind_of('^.*B-secret') as seen where seen = 'y';
select from is_known('B-secret') as seen where seen = 'y';
select from bucket('B-secret') as seen where seen = 'some';
