#!/bin/sh
# certificates.sh DIR: a certificate authority (ca.pem) and what it signed for the TLS tests: good, wrong (another
# host's), soon (ends in five days), expired; and lone, signed by itself. NAME.crt with NAME.key, made anew each time, valid for 20 days.
set -eu
cd "$1"
exec 2>openssl.log
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -keyout ca-key.pem -out ca.pem -subj "/CN=Test CA" -days 30 -addext basicConstraints=critical,CA:TRUE
openssl req -x509 $new -keyout lone.key -out lone.crt -subj "/CN=lone" -days 20 -addext subjectAltName=IP:127.0.0.1
cat > ca.conf <<CONF
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
CONF
: > index.txt
leaf() { # name, subjectAltName, validity
    openssl req $new -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" -addext "subjectAltName=$2"
    # shellcheck disable=SC2086
    openssl ca -batch -config ca.conf -keyfile ca-key.pem -cert ca.pem -in "$1.csr" -out "$1.crt" -notext $3
}
leaf good "IP:127.0.0.1,DNS:pinned.invalid" "-days 20"
leaf wrong "DNS:other.example" "-days 20"
leaf soon "IP:127.0.0.1" "-days 5"
leaf expired "IP:127.0.0.1" "-startdate 20200101000000Z -enddate 20210101000000Z"
