#!/bin/bash
# build.sh - makes nett's Debian packages on Debian 12 and 13.
#
# Usage: build.sh [--release 12|13] [--quick] [OUTDIR]      default: build/deb below the source, build/deb13 for another release
#
# The files that git tracks, as they are now, are copied to a folder in OUTDIR and built there with Debian's own flags:
# about twenty minutes on one core, less when ccache has seen them. What a build needs is in debian/control and the group "deb" of
# tests/lab/setup/packages.sh; no root is needed. Prints the paths of the packages.
#
# --release  packages for a release that this machine does not run are built in a root of that release (root.sh), which needs root
#            the first time and then too, for chroot
# --quick    for tests of the packages: without debugging information and with less optimisation. For this machine's release with the very
#            flags of ./check, so that ccache knows most objects; for another release, whose compiler shares nothing, hardened as Debian has it
set -euo pipefail

die() {
	echo "build.sh: $*" >&2
	exit 1
}

# As root.sh says it.
NETT_CACHE=${NETT_CACHE:-/var/cache/nett}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
machine=$(sed -n 's/^VERSION_ID="\?\([0-9]*\)"\?$/\1/p' /etc/os-release)

release=$machine quick=""
while [[ ${1:-} == -* ]]; do
	case $1:${2:-} in
	--release:12 | --release:13) release=$2 && shift 2 ;;
	--quick:*) quick=yes && shift ;;
	*) die "usage: build.sh [--release 12|13] [--quick] [OUTDIR]" ;;
	esac
done
(($# <= 1)) || die "usage: build.sh [--release 12|13] [--quick] [OUTDIR]"
default=$source/build/deb
[[ $release == "$machine" ]] || default+=$release
outdir=${1:-$default}

# prepare: the tree as dpkg-buildpackage wants it, in $work/nett.
prepare() {
	local tree=$work/nett version changelog_version
	mkdir -p "$tree"
	# A file that was deleted and not yet committed is tracked still.
	git -C "$source" ls-files -z | (cd "$source" && while IFS= read -r -d '' file; do
		[[ ! -e $file ]] || printf '%s\0' "$file"
	done) | tar -C "$source" --null --no-recursion -T - -cf - | tar -C "$tree" -xf -
	cp -a "$here/debian" "$tree/debian"
	version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" "$tree/meson.build" | head -n 1)
	changelog_version=$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Version)
	[[ ${changelog_version%%[~+]*} == "$version" ]] ||
		die "debian/changelog is at $changelog_version, meson.build at $version"
}

# environment: NAME=VALUE lines for dpkg-buildpackage.
environment() {
	local options=${DEB_BUILD_OPTIONS:-parallel=$(nproc)} flags
	if [[ -n $quick ]]; then
		options+=" noautodbgsym"
		# tests/lab/steps.py has the same for ./check
		local meson="-Dwerror=true -Ddebug=false -Doptimization=1" change="STRIP=-g -O2"
		if [[ $release == "$machine" ]]; then
			# What else would tell these objects from those of ./check: debhelper's build type switches assertions off, and ccache goes by
			# the locale that debhelper sets.
			meson+=" -Db_ndebug=false" change="SET="
			! command -v ccache >/dev/null || echo "CXX=env -u LC_ALL ccache c++"
		else
			echo "CCACHE_SLOPPINESS=locale"
		fi
		for flags in CFLAGS CXXFLAGS CPPFLAGS LDFLAGS; do
			echo "DEB_${flags}_$change"
		done
		echo "NETT_MESON_OPTIONS=${NETT_MESON_OPTIONS:-$meson}"
	fi
	echo "DEB_BUILD_OPTIONS=$options"
}

# A pyenv or the like in PATH must not decide which meson runs; what the machine's administrator installed may.
readonly kPath="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

build_here() {
	local tool cache
	for tool in dpkg-buildpackage dh; do
		command -v "$tool" >/dev/null || die "$tool is not there; run tests/lab/setup/packages.sh deb"
	done
	# Meson uses ccache when it is there; debhelper gives the build a HOME of its own.
	if command -v ccache >/dev/null; then
		cache=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
		export CCACHE_DIR=$cache
	fi
	(cd "$work/nett" && env PATH="$kPath" "${settings[@]}" dpkg-buildpackage -us -uc -b)
}

build_in_root() {
	local root cache=$NETT_CACHE/ccache-$release
	root=$("$here/root.sh" build "$release") || return
	mkdir -p "$cache"
	# The compiler of another release has a cache of its own. /build is the same path each time, wherever OUTDIR is.
	"$here/root.sh" run "$root" --bind "$work:/build" --bind "$cache:/ccache" \
		env CCACHE_DIR=/ccache "${settings[@]}" \
		/bin/sh -c 'cd /build/nett && exec dpkg-buildpackage -us -uc -b'
}

command -v git >/dev/null || die "git is not there; run tests/lab/setup/packages.sh deb"
[[ $release == "$machine" ]] || ((EUID == 0)) || die "root is needed to build for Debian $release on Debian $machine"
mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
exec 8>"$outdir/lock"
flock -n 8 || die "another build.sh is at work in $outdir"
# The same path each time: it is part of the compiler's flags (-ffile-prefix-map), and so of what ccache goes by.
work=$outdir/work
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
prepare
mapfile -t settings < <(environment)

log=$outdir/build.log
builder=build_here
[[ $release == "$machine" ]] || builder=build_in_root
if ! "$builder" >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	die "dpkg-buildpackage failed; the whole log is $log"
fi
# What an earlier build left must not be taken for this one's.
rm -f "$outdir"/*.deb "$outdir"/*.changes "$outdir"/*.buildinfo
for package in "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo; do
	mv "$package" "$outdir/"
	[[ $package != *.deb ]] || echo "$outdir/${package##*/}"
done
