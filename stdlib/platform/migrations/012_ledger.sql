-- The ledger of what was run, where it is kept here (evidence.ledger = "database"): a row for each record, each sealed with the hash of
-- the one before. Rows are only ever added, one writer at a time, and only what follows the last one.

set role platform_owner;

create table core.ledger (
  seq       bigint primary key,
  hash      text not null,
  line      text not null, -- the record: canonical JSON (RFC 8785)
  statement text           -- about it, where it approves: a DSSE envelope
);
comment on table core.ledger is 'what was run, of all tenants: gate-engine evidence list; hash: SHA-256 of the record without it';

-- platform.extend_ledger(): trigger. Holds the one lock of the ledger until the transaction ends.
create function platform.extend_ledger() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_seq    bigint;
  v_hash   text;
  v_record jsonb := new.line::jsonb;
begin
  perform pg_advisory_xact_lock(hashtext('gate-engine'), hashtext('core.ledger'));
  select seq, hash into v_seq, v_hash from core.ledger order by seq desc limit 1;
  if new.seq is distinct from coalesce(v_seq, 0) + 1
     or v_record ->> 'seq' is distinct from new.seq::text
     or v_record ->> 'prev' is distinct from coalesce(v_hash, repeat('0', 64)) then
    raise exception 'core.ledger: record % does not follow record %', new.seq, coalesce(v_seq, 0) using errcode = 'PL409';
  end if;
  -- In canonical JSON a member that is taken out takes its comma with it; "schema" and "seq" come after this one.
  if v_record ->> 'hash' is distinct from new.hash
     or encode(sha256(convert_to(replace(new.line, format('"hash":"%s",', new.hash), ''), 'UTF8')), 'hex') <> new.hash then
    raise exception 'core.ledger: record % does not have its hash', new.seq using errcode = 'PL422';
  end if;
  if v_record #>> '{statement,sha256}' is distinct from encode(sha256(convert_to(new.statement, 'UTF8')), 'hex') then
    raise exception 'core.ledger: the statement of record % is another one', new.seq using errcode = 'PL422';
  end if;
  return new;
end
$$;

-- platform.keep_ledger(): trigger. Rows are added, and neither changed nor taken out.
create function platform.keep_ledger() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'core.ledger: records are added and never changed' using errcode = 'PL423';
end
$$;

create trigger extend_ledger before insert on core.ledger for each row execute function platform.extend_ledger();
create trigger keep_ledger before update or delete on core.ledger for each row execute function platform.keep_ledger();
create trigger keep_ledger_whole before truncate on core.ledger for each statement execute function platform.keep_ledger();

-- It is of all tenants: the application has no business here. Not even the owner may do more than add and read, unless he says so first.
revoke all on core.ledger from public, app_user, platform_owner;
grant select, insert on core.ledger to platform_owner;

reset role;
