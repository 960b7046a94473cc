#!/bin/bash
# kernel.sh - Debian's cloud kernel, which the lab's machines boot over the network.
#
# Usage: kernel.sh [--refresh]
#     prints the path of vmlinuz (an EFI binary too); beside it are lib/modules/<release> and the file
#     `release` with the kernel's release
#     --refresh   look for a newer version in the archive first
#
# The package is downloaded with its signature checked and unpacked into the cache, never installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

codename=$(debian_codename)
arch=$(dpkg --print-architecture)
root="$NETT_CACHE/kernel"
current="$root/current-$codename-$arch"

fetch() {
	local package scratch="$root/scratch" release
	archive_open "kernel-$codename" deb "$codename"
	# The meta package names the real one, which carries the kernel's release in its name.
	package=$(apt-cache -c "$ARCHIVE_CONF" show --no-all-versions "linux-image-cloud-$arch" |
		sed -n -E 's/^Depends: *(linux-image-[^ ,]+).*/\1/p')
	[[ -n $package ]] || die "the archive has no linux-image-cloud-$arch"
	release=${package#linux-image-}
	if [[ ! -e $root/$package/release ]]; then
		rm -rf "$scratch" "${root:?}/$package"
		mkdir -p "$scratch/result"
		(cd "$scratch" && apt-get -c "$ARCHIVE_CONF" -qq -o APT::Sandbox::User=root download "$package") >&2
		dpkg-deb --extract "$scratch/$package"_*.deb "$scratch/package"
		mv "$scratch/package/boot/vmlinuz-$release" "$scratch/result/vmlinuz"
		mv "$scratch/package/boot/config-$release" "$scratch/result/config"
		mv "$scratch/package/usr/share/doc/$package/copyright" "$scratch/result/copyright"
		mkdir "$scratch/result/lib"
		# Debian 13 has no /lib beside /usr/lib any more
		mv "$scratch/package/lib/modules" "$scratch/result/lib/" 2>/dev/null ||
			mv "$scratch/package/usr/lib/modules" "$scratch/result/lib/"
		PATH=$PATH:/usr/sbin:/sbin depmod -b "$scratch/result" "$release"
		echo "$release" >"$scratch/result/release"
		mv -T "$scratch/result" "$root/$package"
		rm -rf "$scratch"
	fi
	ln -sfn "$package" "$root/current.new"
	mv -T "$root/current.new" "$current"
}

case ${1:-} in
"" | --refresh) ;;
*) die "unknown argument $1; usage: kernel.sh [--refresh]" ;;
esac
if [[ ${1:-} == --refresh || ! -e $current/release ]]; then
	archive_lock "$root/lock"
	# another run may have fetched it while this one waited
	[[ ${1:-} != --refresh && -e $current/release ]] || fetch
fi
echo "$(readlink -f "$current")/vmlinuz"
