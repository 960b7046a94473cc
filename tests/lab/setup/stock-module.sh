#!/bin/bash
# stock-module.sh - prints the path of FRR's own northbound gRPC module: the one of packaging/frr-grpc without its patch.
#
# Usage: stock-module.sh
#
# Built from the same source as the frr that is installed, for tests of how nett behaves against it; never installed. Kept
# in the cache; a build takes a minute and a half on two idle cores. Load it with `zebra -M PATH:PORT`.
# What build.sh sets and reads, shellcheck does not see.
# shellcheck disable=SC2034,SC2154
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
setup=$here
packaging="$here/../../../packaging/frr-grpc"
# Its functions and flags, so that the module fits, without what it does with them.
# shellcheck source=../../../packaging/frr-grpc/build.sh
source <(sed -e '/^mode=/,$d' -e "s|^here=.*|here='$packaging'|" "$packaging/build.sh")

(($# == 0)) || die "usage: stock-module.sh"
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' frr 2>/dev/null || true)
[[ $installed == ii* ]] || die "FRR is not installed: run tests/lab/setup/frr.sh first"
version=${installed#ii }
version=${version%%~nett*}
module="$root/stock-$(echo "$version $codename $arch" | sha256sum | cut -c1-16)/grpc.so"

# Unpatched, and nothing but the module: its library of messages is that of the installed one.
build_stock_module() {
	local multiarch frr_version=$version libyang_version
	multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	rm -rf "$scratch"
	mkdir -p "$scratch"
	: >"$log"
	archive_open frr-source deb-src "$kSourceSuite"
	fetch_source frr "$version"
	SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$scratch/frr/debian/changelog" -S Timestamp)
	export SOURCE_DATE_EPOCH
	set_compiler_flags
	if [[ $codename == bookworm ]]; then
		fetch_source libyang
		libyang_version=$(source_version libyang)
		run "building libyang $libyang_version" build_libyang
		use_built_libyang
	fi
	run "configuring FRR $frr_version" configure_frr
	run "building FRR's own gRPC module" build_module
	mkdir -p "${module%/*}"
	install -m 0644 "$scratch/frr/lib/.libs/grpc.so" "$module.new"
	mv -T "$module.new" "$module"
	rm -rf "$scratch"
}

if [[ ! -e $module ]]; then
	"$setup/packages.sh" frr-build
	check_build_depends
	# The builder's lock: the scratch folder is its own, so that ccache knows the paths.
	archive_lock "$root/lock"
	[[ -e $module ]] || build_stock_module
fi
echo "$module"
