-- What: A trigger takes no row whose number is not as it should be, and lets none be deleted; keys lead in a circle, one of them deferrable.
-- Exploit: Read, change and delete another tenant's row.
-- @schema
create type address as (street text, zip char(5));
create table invoices (id bigint generated always as identity primary key, tenant_id uuid not null, number text, sent_to address not null);
create function guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then raise exception 'invoices are never deleted'; end if;
  if new.number is null or new.number !~ '^[0-9]{4}-[0-9]+$' then raise exception 'bad number'; end if;
  return new;
end $$;
create trigger guard before insert or update or delete on invoices for each row execute function guard();
create table departments (id int not null, tenant_id uuid not null, head int not null, primary key (tenant_id, id));
create table employees (id int not null, tenant_id uuid not null, department int not null, boss int, primary key (tenant_id, id),
  foreign key (tenant_id, department) references departments, foreign key (tenant_id, boss) references employees);
alter table departments add foreign key (tenant_id, head) references employees deferrable initially deferred;
do $$ declare t text; begin
  foreach t in array array['invoices', 'departments', 'employees'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I using (tenant_id::text = current_setting(''app.tenant_id'', true))', t);
    execute format('grant select, insert, update, delete on %I to app_user', t);
  end loop;
end $$;
-- @rows
insert into invoices (tenant_id, number, sent_to) values (:'A', '2024-1', row('x', '12345')), (:'B', '2024-2', row('y', '12345'));
-- @control
update invoices set number = '2024-3' where tenant_id = :'A' returning id;
-- @attack
select from invoices where tenant_id = :'B';
update invoices set number = '2024-4' where tenant_id = :'B' returning id;
-- @look
select from invoices where number = '2024-4';
