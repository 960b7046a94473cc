#!/bin/bash
# ipxe.sh - Debian's iPXE binaries, which boot images are made from.
#
# Usage: ipxe.sh [--refresh]
#     prints the folder that holds ipxe-amd64.efi, ipxe-arm64.efi, undionly.kpxe (chain loading on BIOS), ipxe.lkrn (for
#     BIOS boot loaders) and the file `version`
#     --refresh   look for a newer version in the archive first
#
# Takes iPXE 2.0.0 or newer from Debian unstable: Debian 12's has no HTTPS, Debian 13's (1.21.1) speaks
# HTTPS but only with RSA certificates. When unstable cannot be had, Debian 13's is taken and the message
# says so. The archive's signature is checked; the package is unpacked into the cache, never installed.
# A fallback is kept for a day, then unstable is tried again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

readonly kMinimumVersion=2.0.0
readonly kFallbackSuite=trixie
readonly kFallbackMinutes=1440
readonly kFiles=(ipxe-amd64.efi ipxe-arm64.efi undionly.kpxe ipxe.lkrn)

root="$NETT_CACHE/ipxe"
current="$root/current"

# complete FOLDER: everything is in it.
complete() {
	local file
	for file in "${kFiles[@]}" version; do
		[[ -e $1/$file ]] || return 1
	done
}

# usable: the cached binaries are complete and, when they are the fallback, recent.
usable() {
	complete "$current" || return 1
	dpkg --compare-versions "$(cat "$current/version")" ge $kMinimumVersion ||
		[[ -n $(find "$root/fallback" -mmin -$kFallbackMinutes 2>/dev/null) ]]
}

# fetch SUITE: unpacks the suite's package into $root/<version> and prints that version.
fetch() {
	local suite=$1 version file scratch="$root/scratch"
	archive_open "ipxe-$suite" deb "$suite"
	version=$(apt-cache -c "$ARCHIVE_CONF" madison ipxe | awk -F ' *[|] *' 'NR == 1 { print $2 }')
	[[ -n $version ]] || die "the suite $suite has no package ipxe"
	if [[ $suite == unstable ]] && dpkg --compare-versions "$version" lt $kMinimumVersion; then
		die "the suite $suite has iPXE $version only"
	fi
	if ! complete "$root/$version"; then
		rm -rf "$scratch" "${root:?}/$version"
		mkdir -p "$scratch/result"
		(cd "$scratch" && apt-get -c "$ARCHIVE_CONF" -qq -o APT::Sandbox::User=root download "ipxe=$version") >&2
		dpkg-deb --extract "$scratch"/ipxe_*.deb "$scratch/package"
		for file in "${kFiles[@]}"; do
			cp "$scratch/package/usr/lib/ipxe/$file" "$scratch/result/" || die "iPXE $version has no $file"
		done
		cp "$scratch/package/usr/share/doc/ipxe/copyright" "$scratch/result/"
		echo "$version" >"$scratch/result/version"
		mv -T "$scratch/result" "$root/$version"
		rm -rf "$scratch"
	fi
	echo "$version"
}

case ${1:-} in
"" | --refresh) ;;
*) die "unknown argument $1; usage: ipxe.sh [--refresh]" ;;
esac
if [[ ${1:-} == --refresh ]] || ! usable; then
	archive_lock "$root/lock"
	if [[ ${1:-} == --refresh ]] || ! usable; then
		# Not `if ! ...`: bash would ignore set -e inside it.
		set +e
		version=$(set -e; fetch unstable)
		status=$?
		set -e
		if ((status != 0)); then
			note "iPXE >= $kMinimumVersion cannot be had from Debian unstable; falling back to Debian 13's"
			version=$(fetch $kFallbackSuite)
			touch "$root/fallback"
		fi
		ln -sfn "$version" "$root/current.new"
		mv -T "$root/current.new" "$current"
	fi
fi
version=$(cat "$current/version")
if dpkg --compare-versions "$version" lt $kMinimumVersion; then
	note "using iPXE $version: it accepts RSA certificates only, so the whole PKI must be RSA"
fi
readlink -f "$current"
