-- Mail to tenants: written in the transaction that it is about, sent afterwards. A message goes out by itself once at most: what may
-- have arrived (unknown) is sent again only by an operator's word, under the same Message-ID.

set role platform_owner;

create table core.mail_outbox (
  id         bigint generated always as identity primary key,
  tenant_id  uuid not null references core.tenants (id),
  event_id   bigint not null unique references core.tenant_events (id),
  message_id text not null,
  recipients text[] not null check (cardinality(recipients) > 0),
  message    text not null, -- RFC 5322, whole; no key in clear is ever in it
  state      text not null default 'pending' check (state in ('pending', 'sending', 'sent', 'unknown')),
  attempts   integer not null default 0,
  outcome    text,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  unique (tenant_id, message_id) -- of one tenant: a key across tenants would tell of another one's
);
comment on table core.mail_outbox is 'mail to tenants; pending → sending → sent | unknown, and back to pending where the server has not taken it';
create index mail_outbox_tenant on core.mail_outbox (tenant_id);

alter table core.mail_outbox enable row level security;
alter table core.mail_outbox force row level security;
create policy tenant_isolation on core.mail_outbox
  using (tenant_id::text = current_setting('app.current_tenant_id', true))
  with check (tenant_id::text = current_setting('app.current_tenant_id', true));

-- platform.keep_mail(): trigger. A message stays as it was written; its state takes the steps that are there.
create function platform.keep_mail() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and (new.id, new.tenant_id, new.event_id, new.message_id, new.recipients, new.message)
       is not distinct from (old.id, old.tenant_id, old.event_id, old.message_id, old.recipients, old.message)
     and (old.state, new.state) in (('pending', 'sending'), ('sending', 'pending'), ('sending', 'sent'), ('sending', 'unknown'),
                                    ('unknown', 'sending'), ('unknown', 'sent'), ('sent', 'sending')) then
    new.changed_at := clock_timestamp();
    return new;
  end if;
  raise exception 'core.mail_outbox: % % is no step of a message', lower(tg_op),
    case when tg_op = 'UPDATE' then old.state || ' to ' || new.state else '' end using errcode = 'PL423';
end
$$;
create trigger keep_mail before update or delete on core.mail_outbox for each row execute function platform.keep_mail();
create trigger keep_mail_whole before truncate on core.mail_outbox for each statement execute function platform.keep_mail();

reset role;
