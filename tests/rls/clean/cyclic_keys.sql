-- What: Two tables that refer to each other, one of the keys deferrable; a third refers to itself.
-- Exploit: SELECT from all of them.
-- @schema
create table teams (id int primary key, tenant_id uuid not null, lead_id int not null);
create table people (id int primary key, tenant_id uuid not null, team_id int not null references teams, boss_id int references people);
alter table teams add foreign key (lead_id) references people deferrable initially deferred;
alter table teams enable row level security;
alter table teams force row level security;
alter table people enable row level security;
alter table people force row level security;
create policy tenant on teams using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy tenant on people using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update, delete on teams, people to app_user;
-- @rows
insert into teams values (1, :'A', 1), (2, :'B', 2);
insert into people values (1, :'A', 1, 1), (2, :'B', 2, 2);
-- @control
select from people where tenant_id = :'A';
-- @attack
select from people p join teams t on t.id = p.team_id where p.tenant_id = :'B';
