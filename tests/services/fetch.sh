#!/bin/sh
# fetch.sh DIR: puts the services that are npm's into DIR/node_modules, as npm/package-lock.json pins them.
#
# Where node, npm or its registry cannot be reached DIR/missing says so, and the specs are skipped with that text; anything else that
# goes wrong is a failure. npm is not a package of Debian that the tests ask for: it brings several hundred others.
set -eu
here=$(cd "$(dirname "$0")" && pwd)/npm
dir=$1
mkdir -p "$dir"
rm -f "$dir/missing"

skip() {
  echo "$1" >"$dir/missing"
  echo "services of npm: $1" >&2
  exit 0
}

command -v npm >/dev/null || skip "npm is not installed"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
  || skip "oidc-provider needs Node.js 20.19"

if ! cmp -s "$here/package-lock.json" "$dir/installed"; then
  cp "$here/package.json" "$here/package-lock.json" "$dir/"
  if ! (cd "$dir" && timeout 300 npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1 --loglevel=error >npm.log 2>&1); then
    grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT' "$dir/npm.log" \
      && skip "npm's registry cannot be reached"
    cat "$dir/npm.log" >&2
    exit 1
  fi
  cp "$here/package-lock.json" "$dir/installed"
fi
