#!/bin/sh
# Makes the certificates of the tests, which are valid for 100 years, with OpenSSL 3. Nothing trusts them.
set -eu
cd "$(dirname "$0")"

names='subjectAltName=DNS:localhost,IP:127.0.0.1'

# sign NAME SUBJECT EXTENSION ISSUER DAYS
sign() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf '%s\n' "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$4.crt" -CAkey "$4.key" -CAcreateserial -days "$5" -extfile "$1.ext" -out "$1.crt"
  rm "$1.csr" "$1.ext"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout root.key -subj '/CN=tests root' -days 36500 -out root.crt
sign between 'tests intermediate' 'basicConstraints=critical,CA:true' root 36500
sign old 'old' "$names" between 36500
sign new 'new' "$names" between 36500
sign expired 'expired' "$names" between -1
for name in old new expired; do cat between.crt >> "$name.crt"; done
openssl pkcs8 -topk8 -in old.key -passout pass:secret -out old-encrypted.key
rm ./*.srl root.key between.key between.crt
