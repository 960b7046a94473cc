#!/bin/bash
# etcd.sh - prints a folder with etcd and etcdctl of a Debian release, which need not be this machine's.
#
# Usage: etcd.sh SUITE       e.g. trixie: etcd 3.5
#
# Nothing is installed: the packages are taken apart in the cache. For NETT_ETCD of tests/lab/etcd.py.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

(($# == 1)) || die "usage: etcd.sh SUITE"
suite=$1
folder="$NETT_CACHE/etcd-$suite"
if [[ ! -x $folder/etcd ]]; then
	archive_lock "$NETT_CACHE/etcd.lock"
	archive_open "etcd-$suite" deb "$suite"
	scratch=$(mktemp -d)
	chmod 0777 "$scratch"  # apt downloads as a user of its own
	trap 'rm -rf "$scratch"' EXIT
	(cd "$scratch" && apt-get -c "$ARCHIVE_CONF" -qq download etcd-server etcd-client) >&2
	for package in "$scratch"/*.deb; do
		dpkg-deb --extract "$package" "$scratch/root"
	done
	"$scratch/root/usr/bin/etcd" --version >&2 || die "etcd of $suite does not run on this machine"
	mkdir -p "$folder"
	install -m 0755 "$scratch/root/usr/bin/etcdctl" "$scratch/root/usr/bin/etcd" "$folder/"
fi
echo "$folder"
