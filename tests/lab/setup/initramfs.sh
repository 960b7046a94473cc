#!/bin/bash
# initramfs.sh - the small initramfs that the lab's machines boot with Debian's cloud kernel.
#
# Usage: initramfs.sh
#     prints the path of initramfs.xz, for the kernel that kernel.sh prints; made when it is not there
#
# It holds busybox, the modules that mounting a squashfs image and a virtio network card need, /extensions.yaml with one layer named
# `schematic` (as the initramfs of Talos' Image Factory has) and the file `init` beside this script. The same
# inputs give the same bytes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

# The last two: a network card, for configurations that are fetched.
readonly kModules=(loop squashfs virtio_pci virtio_net)
readonly kBusybox=/bin/busybox

kernel_dir=$(dirname "$("$here/kernel.sh")")
release=$(cat "$kernel_dir/release")
root="$NETT_CACHE/initramfs"
key=$({
	echo "$release"
	sha256sum <"$kBusybox"
	cd "$here" && sha256sum init initramfs.sh
} | sha256sum | cut -c1-16)
result="$root/$key/initramfs.xz"

# add_modules TREE: uncompressed modules, and /modules/order that lists them so that each comes after those
# it needs. A module that is built into the kernel needs no file.
add_modules() {
	local tree=$1 module path name
	mkdir -p "$tree/modules"
	: >"$tree/modules/order"
	for module in "${kModules[@]}"; do
		# "insmod /path/x.ko.xz" or "builtin x", dependencies first
		while read -r kind path _; do
			[[ $kind == insmod ]] || continue
			name=$(basename "$path")
			name=${name%.xz}
			[[ ! -e $tree/modules/$name ]] || continue
			if [[ $path == *.xz ]]; then
				xz -dc "$path" >"$tree/modules/$name"
			else
				cp "$path" "$tree/modules/$name"
			fi
			echo "/modules/$name" >>"$tree/modules/order"
		done < <(PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel_dir" -S "$release" --show-depends "$module")
	done
}

make_initramfs() {
	local scratch="$root/scratch" tree="$root/scratch/tree"
	if ldd "$kBusybox" >/dev/null 2>&1; then
		die "$kBusybox is not the static one: install busybox-static"
	fi
	rm -rf "$scratch"
	mkdir -p "$tree/bin" "$scratch/result"
	cp "$kBusybox" "$tree/bin/busybox"
	install -m 0755 "$here/init" "$tree/init"
	cat >"$tree/extensions.yaml" <<-EOF
		layers:
		  - image: schematic.sqsh
		    metadata:
		      name: schematic
		      version: lab
	EOF
	add_modules "$tree"
	find "$tree" -exec touch -h -d @0 {} +
	# the kernel's decompressor knows CRC32 only
	(cd "$tree" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
		cpio --quiet --create --format=newc --reproducible --owner=0:0) |
		xz -6 --check=crc32 --threads=1 >"$scratch/result/initramfs.xz"
	mv -T "$scratch/result" "$root/$key"
	rm -rf "$scratch"
}

(($# == 0)) || die "usage: initramfs.sh"
if [[ ! -e $result ]]; then
	archive_lock "$root/lock"
	[[ -e $result ]] || make_initramfs
fi
echo "$result"
