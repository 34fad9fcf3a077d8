-- What: The organisations of a session stand in a list of its claims, and policies ask whether the row's is among them: by ?, ?|, @> and
--   jsonb_array_elements_text.
-- Exploit: None: a session says its own organisations and no other.
-- Setting: request.jwt.claims
-- Value: {"sub":"u","orgs":["{id}"]}
-- Source: Supabase, PostgREST and Hasura with an array of organisations in the token
-- @schema
create function claims() returns jsonb language sql stable set search_path = pg_catalog, pg_temp as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
do $$
declare
  tests text[] := array[
    $q$(claims() -> 'orgs') ? tenant_id::text$q$, $q$(claims() -> 'orgs') ?| array[tenant_id::text]$q$,
    $q$(claims() -> 'orgs') @> to_jsonb(tenant_id::text)$q$,
    $q$tenant_id::text in (select jsonb_array_elements_text(claims() -> 'orgs'))$q$,
    $q$tenant_id::text = any (array(select jsonb_array_elements_text(claims() -> 'orgs')))$q$ ];
begin
  for i in 1 .. 5 loop
    execute format('create table items_%1$s (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
      alter table items_%1$s enable row level security; alter table items_%1$s force row level security;
      create policy tenant on items_%1$s using (%2$s); grant select, insert, update, delete on items_%1$s to app_user', i, tests[i]);
  end loop;
end $$;
-- @rows
insert into items_1 (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into items_2 (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into items_3 (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into items_4 (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into items_5 (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items_1 join items_2 using (tenant_id) join items_3 using (tenant_id) join items_4 using (tenant_id)
  join items_5 using (tenant_id) where tenant_id = :'A';
-- @attack
select from items_1 where body = 'B-secret' union all select from items_2 where body = 'B-secret'
  union all select from items_3 where body = 'B-secret' union all select from items_4 where body = 'B-secret'
  union all select from items_5 where body = 'B-secret';
