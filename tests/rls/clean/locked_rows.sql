-- What: A trigger refuses changes of locked plans, with an error of its own, for whoever reaches them; tenant B's are not reached.
-- Exploit: Change everything that is not locked, delete everything.
-- Refused: P0001
-- @schema
create table plans (id bigint generated always as identity primary key, tenant_id uuid not null, locked boolean not null default true,
  body text not null);
create function keep_locked() returns trigger language plpgsql as $$
begin
  if old.locked then raise exception 'plan % is locked', old.id; end if;
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $$;
create trigger keep_locked before update or delete on plans for each row execute function keep_locked();
alter table plans enable row level security;
alter table plans force row level security;
create policy tenant on plans using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on plans to app_user;
-- @rows
insert into plans (tenant_id, locked, body) values (:'A', true, 'A-locked'), (:'A', false, 'A-open'), (:'B', false, 'B-open');
-- @control
update plans set body = 'A-new' where tenant_id = :'A' and not locked returning id;
-- @attack
update plans set body = 'taken' where not locked;
delete from plans;
-- @look
select from plans where tenant_id = :'B' having min(body) <> 'B-open' or count(*) <> 1;
