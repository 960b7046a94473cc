#!/bin/bash
# step.sh - Smallstep's CA (step-ca, an ACME server too) and its client (step), which nett's PKI works with and was not written for.
#
# Usage: step.sh
#     prints the folder that holds step and step-ca
#
# Debian has no package of them. Both are built from one pinned version of their Go modules, which Go 1.17 and newer (so Debian 12's and 13's)
# can build; the Go checksum database vouches for the modules. That takes two to three minutes of CPU time, once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

readonly kVersion=0.21.0
# step-ca's own go.mod replaces this module; `go install` refuses modules that replace any, so a module around it does the same. The digests
# are those of step-ca's go.sum: the checksum database need not know a fork.
readonly kFork='github.com/smallstep/pkcs7 v0.0.0-20211016004704-52592125d6f6'
readonly kForkDigest=h1:8Rjy6IZbSM/jcYgBWCoLIGjug7QcoLtF9sUuhDrHD2U=
readonly kForkModDigest=h1:SNgMg+EgDFwmvSmLRTNKC5fegJjB7v23qTQ0XLGUNHk=

folder="$NETT_CACHE/step/$kVersion"

build() {
	local scratch="$NETT_CACHE/step/scratch"
	command -v go >/dev/null || die "Go is missing: packages.sh test installs the package golang-go"
	note "building step and step-ca $kVersion"
	rm -rf "$scratch"
	mkdir -p "$scratch/result"
	cat >"$scratch/go.mod" <<-EOF
		module nett.lab/step

		go 1.17

		require (
			github.com/smallstep/certificates v$kVersion
			github.com/smallstep/cli v$kVersion
		)

		replace go.mozilla.org/pkcs7 => $kFork
	EOF
	printf '%s %s\n%s/go.mod %s\n' "$kFork" "$kForkDigest" "$kFork" "$kForkModDigest" >"$scratch/go.sum"
	if ! (cd "$scratch" && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=mod go build -trimpath -ldflags='-s -w' -o "$scratch/result/" \
		github.com/smallstep/certificates/cmd/step-ca github.com/smallstep/cli/cmd/step) >"$scratch/log" 2>&1; then
		tail -n 20 "$scratch/log" >&2
		die "step and step-ca cannot be built; the whole log is $scratch/log"
	fi
	rm -rf "$folder"
	mv -T "$scratch/result" "$folder"
	rm -rf "$scratch"
}

(($# == 0)) || die "usage: step.sh"
if [[ ! -x $folder/step || ! -x $folder/step-ca ]]; then
	archive_lock "$NETT_CACHE/step/lock"
	[[ -x $folder/step && -x $folder/step-ca ]] || build
fi
echo "$folder"
