#!/usr/bin/env bash
# Looks the modules of a built program up in Go's vulnerability database. A known vulnerability fails; a check that cannot be made
# here (the tool or its database cannot be had) is said, loudly, and passes.
set -uo pipefail
binary=${1:?usage: vulncheck.sh BINARY}
version=v1.9.0
out=$(timeout 180 go run "golang.org/x/vuln/cmd/govulncheck@$version" -mode binary "$binary" 2>&1)
code=$?
if [ $code -eq 0 ]; then
  echo "vulnerabilities: none known"
elif grep -q '^Vulnerability #' <<<"$out"; then
  echo "$out"
  exit 1
else
  echo "VULNERABILITIES NOT CHECKED: $(tail -n 2 <<<"$out" | head -n 1)"
fi
