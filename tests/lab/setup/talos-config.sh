#!/bin/bash
# talos-config.sh - a program that loads, validates and patches machine configs with Talos' own Go module.
#
# Usage: talos-config.sh VERSION     VERSION: one of those beside this script, talos-config/VERSION.mod
#     prints the path of the program; see talos-config/main.go for what it does
#
# The module and what it needs come from the Go module proxy, their digests pinned in VERSION.sum. It wants a newer Go than Debian has: that one is
# a Go module too, and any Go (Debian's package golang-go) can fetch it, verified by Go's checksum database. All of it stays in the cache.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

readonly kGo=go1.26.8

version=${1:?usage: talos-config.sh VERSION}
[[ -e $here/talos-config/$version.mod ]] || die "there is no talos-config/$version.mod"
root="$NETT_CACHE/talos-config"
key=$(cat "$here/talos-config/main.go" "$here/talos-config/$version.mod" "$here/talos-config/$version.sum" | sha256sum | cut -c1-16)
program="$root/$version-$key/talos-config"

# The Go that builds it: prints the folder of its programs.
toolchain() {
	local module folder architecture
	architecture=$(dpkg --print-architecture)
	module="golang.org/toolchain@v0.0.1-$kGo.linux-$architecture"
	folder="$root/go"
	mkdir -p "$folder"
	printf 'module fetch\n\ngo 1.19\n' >"$folder/go.mod"
	(cd "$folder" && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download "$module") >&2
	# The modules' files are not executable.
	chmod -R u+x "$GOMODCACHE/$module/bin" "$GOMODCACHE/$module/pkg/tool"
	echo "$GOMODCACHE/$module/bin"
}

archive_lock "$root.lock"
if [[ ! -x $program ]]; then
	command -v go >/dev/null || die "there is no go: run packages.sh test"
	note "building talos-config for Talos $version"
	export GOMODCACHE="$root/modules" GOCACHE="$root/build" GOTOOLCHAIN=local GOFLAGS=-modcacherw
	go_folder=$(toolchain)
	mkdir -p "$root/$version-$key"
	cp "$here/talos-config/main.go" "$root/$version-$key/"
	cp "$here/talos-config/$version.mod" "$root/$version-$key/go.mod"
	cp "$here/talos-config/$version.sum" "$root/$version-$key/go.sum"
	(cd "$root/$version-$key" && unset GOROOT && GOFLAGS="-modcacherw -mod=readonly" nice "$go_folder/go" build -o talos-config.new . && mv talos-config.new talos-config) >&2
fi
echo "$program"
