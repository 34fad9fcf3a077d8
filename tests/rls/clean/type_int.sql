-- What: An integer tenant, cast from the setting, with nullif for the empty one.
-- Exploit: Without a tenant, with an empty one and with A nothing of B's is seen.
-- Column: account_id
-- Setting: app.account
-- A: 1
-- B: 2
-- @schema
create table invoices (id serial primary key, account_id integer not null, total numeric(10, 2) not null check (total > 0));
alter table invoices enable row level security;
alter table invoices force row level security;
create policy account on invoices using (account_id = nullif(current_setting('app.account', true), '')::integer);
grant select, insert, update, delete on invoices to app_user;
grant usage on sequence invoices_id_seq to app_user;
-- @rows
insert into invoices (account_id, total) values (:'A', 1), (:'B', 2);
-- @control
select from invoices where account_id = :'A';
-- @attack
select from invoices where account_id = :'B' for update;
reset app.account;
select from invoices;
