#!/bin/bash
# frr.sh - installs FRR 10.3 with the hardened northbound gRPC module on this machine.
#
# Usage: frr.sh
#
# Builds the packages when they are not in the cache (packaging/frr-grpc/build.sh) and installs them when
# this machine does not have exactly those. A fraction of a second when all is there. Needs root to install.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"
builder="$here/../../../packaging/frr-grpc/build.sh"

# installed DEB: true when the package that DEB was built as is installed, from the same inputs.
installed() {
	local name state
	name=$(dpkg-deb --field "$1" Package)
	state=$(dpkg-query -W -f '${db:Status-Abbrev} ${Version} ${Nett-Inputs}' "$name" 2>/dev/null || true)
	[[ $state == "ii  $(dpkg-deb --field "$1" Version) $(dpkg-deb --field "$1" Nett-Inputs)" ]]
}

(($# == 0)) || die "usage: frr.sh"
if ! packages=$("$builder" --cached); then
	"$here/packages.sh" frr-build
	packages=$("$builder")
fi
missing=no
for deb in "$packages"/*.deb; do
	installed "$deb" || missing=yes
done
[[ $missing == yes ]] || exit 0
((EUID == 0)) || die "FRR's packages in $packages are not installed; run this as root"
archive_lock "$NETT_CACHE/packages.lock"
note "installing $(cd "$packages" && echo ./*.deb)"
log="$NETT_CACHE/frr/install.log"
# --reinstall: the same version may have been built from other inputs before
if ! DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o APT::Sandbox::User=root \
	-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
	install --no-install-recommends --reinstall --allow-downgrades "$packages"/*.deb >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	die "FRR's packages cannot be installed; the whole log is $log"
fi
