#!/usr/bin/env bash
# Looks the modules of a built program up in Go's vulnerability database. Vulnerabilities fail; a database that cannot be reached
# is said, loudly, and passes.
set -uo pipefail
binary=${1:?usage: vulncheck.sh BINARY}
version=v1.9.0
out=$(go run "golang.org/x/vuln/cmd/govulncheck@$version" -mode binary "$binary" 2>&1)
code=$?
if [ $code -eq 0 ]; then
  echo "vulnerabilities: none known"
elif grep -qE 'fetching vulnerabilities|no such host|dial tcp|connection refused|i/o timeout' <<<"$out"; then
  echo "VULNERABILITIES NOT CHECKED: the database cannot be reached from here ($(tail -n 2 <<<"$out" | head -n 1))"
else
  echo "$out"
  exit 1
fi
