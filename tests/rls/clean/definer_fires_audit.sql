-- What: Definers that write the tenant's own rows, whose triggers keep a record of the same tenant's, and count its rows.
-- Exploit: None: it is the session's own.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null, n bigint);
create table records (id bigint generated always as identity primary key, tenant_id uuid not null, was text, body text);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
alter table records enable row level security;
alter table records force row level security;
create policy tenant on records using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
grant select, insert on records to app_user;
-- @superuser
create function count_items() returns trigger language plpgsql as $$
begin
  new.n := (select count(*) from public.items i where i.tenant_id = new.tenant_id);
  return new;
end $$;
create function keep() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into public.records (tenant_id, body) values (new.tenant_id, new.body);
  elsif tg_op = 'UPDATE' then
    insert into public.records (tenant_id, was, body) values (old.tenant_id, old.body, new.body);
  else
    insert into public.records (tenant_id, was) values (old.tenant_id, old.body);
  end if;
  return null;
end $$;
create function own_tenant() returns uuid language sql stable as $$ select nullif(current_setting('app.tenant_id', true), '')::uuid $$;
create function put(p_body text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  case
    when p_body is null then raise exception 'no body';
    else insert into public.items (tenant_id, body) values (public.own_tenant(), p_body);
  end case;
end $$;
create function change(p_id bigint, p_body text) returns void language sql security definer set search_path = pg_catalog, pg_temp as
  $$ update public.items set body = p_body where id = p_id and tenant_id = public.own_tenant() $$;
create function remove(p_id bigint) returns void language sql security definer set search_path = pg_catalog, pg_temp as
  $$ delete from public.items where id = p_id and tenant_id = public.own_tenant() $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
create trigger count_items before insert on items for each row execute function count_items();
create trigger keep after insert or update or delete on items for each row execute function keep();
-- @control
select from items where tenant_id = :'A';
-- @attack
select put('x'), change(2, 'y'), remove(2);
select body from items where body <> 'A-row' and body <> 'x' union select body from records where body = 'B-secret' or was = 'B-secret';
