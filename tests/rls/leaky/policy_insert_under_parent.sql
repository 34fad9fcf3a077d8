-- What: A child without the tenant column: readable through its parent only, but rows can be written under anybody's parent.
-- Class: policy_write_unchecked
-- Object: public.comments
-- Exploit: INSERT under tenant B's post; the foreign key is not bound by policies.
-- @schema
create table posts (id int primary key, tenant_id uuid not null, body text not null);
create table comments (id bigint generated always as identity primary key, post_id int not null references posts, body text not null);
alter table posts enable row level security;
alter table posts force row level security;
alter table comments enable row level security;
alter table comments force row level security;
create policy tenant on posts using (tenant_id::text = current_setting('app.tenant_id', true));
create policy r on comments for select using (exists (select from posts p where p.id = comments.post_id));
create policy c on comments for insert with check (true);
grant select, insert on posts, comments to app_user;
-- @rows
insert into posts values (1, :'A', 'A-row'), (2, :'B', 'B-row');
insert into comments (post_id, body) values (1, 'A-comment');
-- @fix
alter policy c on comments with check (exists (select from posts p where p.id = comments.post_id));
-- @control
select from comments where body = 'A-comment';
-- @exploit
insert into comments (post_id, body) values (2, 'planted');
-- @look
select c.body from comments c join posts p on p.id = c.post_id where p.tenant_id = :'B' and c.body = 'planted';
