#!/bin/sh
# swift.sh DIR: OpenStack Swift with its S3 API (Debian: swift-proxy, swift-account, swift-container, swift-object, memcached) on
# the loopback, in DIR. Prints its port once it answers a request, then waits; what it started ends with it.
#
# Buckets: gate and gate-globex, which are the operator's, and gate-acme, which acme may use too. Its accounts:
# "test:operator" (secret operator-secret-1, may do everything) and "test:acme" (acme-secret-1, what an ACL lets it do).
set -eu
dir=$1
mkdir -p "$dir/dev/d1" "$dir/log" "$dir/run"
ports=$(/usr/bin/python3 -c '
import socket
held = [socket.socket() for _ in range(5)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])')
set -- $ports
account=$1 container=$2 object=$3 proxy=$4 cache=$5

cat >"$dir/swift.conf" <<END
[swift-hash]
swift_hash_path_prefix = gate
swift_hash_path_suffix = engine
[storage-policy:0]
name = gold
default = yes
END
for ring in account:$account container:$container object:$object; do
  name=${ring%%:*} port=${ring##*:}
  (cd "$dir" && swift-ring-builder "$name.builder" create 4 1 1 && swift-ring-builder "$name.builder" add --region 1 --zone 1 \
    --ip 127.0.0.1 --port "$port" --device d1 --weight 1 && swift-ring-builder "$name.builder" rebalance) >"$dir/log/ring-$name" 2>&1
  cat >"$dir/$name.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
workers = 0
swift_dir = $dir
devices = $dir/dev
mount_check = false
user = $(id -un)
log_address = $dir/log/none
[pipeline:main]
pipeline = $name-server
[app:$name-server]
use = egg:swift#$name
END
done
cat >"$dir/proxy.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $proxy
workers = 0
swift_dir = $dir
user = $(id -un)
log_address = $dir/log/none
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$cache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = s3.test
allow_multipart_uploads = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_operator = operator-secret-1 .admin
user_test_acme = acme-secret-1
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
END

children=
trap 'kill $children 2>/dev/null || true' EXIT
trap 'exit 0' TERM INT HUP
memcached -l 127.0.0.1 -p "$cache" -U 0 $(test "$(id -u)" = 0 && echo -u nobody) >"$dir/log/memcached" 2>&1 &
children=$!
for name in account container object proxy; do
  swift-$name-server "$dir/$name.conf" >"$dir/log/$name" 2>&1 &
  children="$children $!"
done
tries=0
swift() { # METHOD PATH [curl's arguments]: through Swift's own API, as the operator
  method=$1 path=$2
  shift 2
  token=$(curl -sf -D - -o /dev/null -H 'X-Auth-User: test:operator' -H 'X-Auth-Key: operator-secret-1' \
    "http://127.0.0.1:$proxy/auth/v1.0" | tr -d '\r' | sed -n 's/^X-Auth-Token: //Ip') || return 1
  curl -sf -o /dev/null -X "$method" -H "X-Auth-Token: $token" "$@" "http://127.0.0.1:$proxy/v1/AUTH_test$path"
}
until swift PUT /gate; do
  tries=$((tries + 1))
  test $tries -lt 300 || { cat "$dir"/log/* >&2; exit 1; }
  sleep 0.2
done
swift PUT /gate-globex
for bucket in gate-acme gate-acme%2Bsegments; do # where Swift keeps the parts of what is uploaded in parts
  swift PUT "/$bucket" -H 'X-Container-Read: test:acme' -H 'X-Container-Write: test:acme'
done
echo "$proxy"
for child in $children; do wait "$child"; done
