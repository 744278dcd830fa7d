#!/usr/bin/env bash
# A program that imports go-nvml cannot be linked for Linux by zig, which is otherwise the usual C compiler for cross-building Go
# programs with cgo: the package hands the linker --unresolved-symbols=ignore-in-object-files in its cgo flags, since it opens
# libnvidia-ml.so at run time, and zig's own linker driver knows no such option. Compiling works, so the failure comes at the very end.
# A careful guess is that a package which needs no NVIDIA library at build time cross-builds like any other cgo package.
#
# Where it meets our users: `make release` cross-builds Linux arm64 by GCC (tools/release/build.go, gccTargets) and only other systems by zig.
#
# Seen with github.com/NVIDIA/go-nvml v0.13.4-1, ziglang 0.17.1 and go 1.26, Linux x86-64:
#   gcc: links. zig cc -target x86_64-linux-gnu: "unsupported linker arg: --unresolved-symbols".
# Fails when that changes. Needs go, gcc and python3.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check ziglang==0.17.1
mkdir "$dir/program"
cd "$dir/program"
cat >go.mod <<'MOD'
module program

go 1.24

require github.com/NVIDIA/go-nvml v0.13.4-1
MOD
cat >main.go <<'GO'
package main

import "github.com/NVIDIA/go-nvml/pkg/nvml"

func main() { println(nvml.ErrorString(nvml.Init())) }
GO
export GOFLAGS=-mod=mod CGO_ENABLED=1 CGO_CFLAGS="-O2 -Wno-deprecated-declarations"
go mod tidy >/dev/null 2>&1 || true
CC=gcc go build -o by-gcc .
echo "gcc: links"
if CC="$dir/venv/bin/python -m ziglang cc -target x86_64-linux-gnu" go build -o by-zig . 2>log; then
  echo "zig: links; that was not so" >&2
  exit 1
fi
grep -o 'unsupported linker arg: --unresolved-symbols' log | head -1
