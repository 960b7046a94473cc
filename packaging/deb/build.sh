#!/bin/bash
# build.sh - makes nett's Debian packages on Debian 12 and 13.
#
# Usage: build.sh [OUTDIR]      default: build/deb below the source
#
# The files that git tracks, as they are now, are copied to a folder in OUTDIR and built there with Debian's own flags:
# about ten minutes on one core, less when ccache has seen them. What a build needs is in debian/control (tests/lab/setup/packages.sh
# build, and the packages debhelper and dpkg-dev); no root is needed. Prints the paths of the packages.
set -euo pipefail

die() {
	echo "build.sh: $*" >&2
	exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
if (($# > 1)) || [[ ${1:-} == -* ]]; then
	die "usage: build.sh [OUTDIR]"
fi
outdir=${1:-$source/build/deb}

for tool in dpkg-buildpackage dh git; do
	command -v "$tool" >/dev/null || die "$tool is not there; install debhelper, dpkg-dev and git"
done
mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
exec 9>"$outdir/lock"
flock -n 9 || die "another build.sh is at work in $outdir"
# The same path each time: it is part of the compiler's flags (-ffile-prefix-map), and so of what ccache goes by.
work=$outdir/work
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
tree=$work/nett
mkdir "$work"

mkdir "$tree"
# A file that was deleted and not yet committed is tracked still.
git -C "$source" ls-files -z | (cd "$source" && while IFS= read -r -d '' file; do
	[[ ! -e $file ]] || printf '%s\0' "$file"
done) | tar -C "$source" --null --no-recursion -T - -cf - | tar -C "$tree" -xf -
cp -a "$here/debian" "$tree/debian"

version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" "$tree/meson.build" | head -n 1)
changelog_version=$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Version)
[[ ${changelog_version%%[~+]*} == "$version" ]] ||
	die "debian/changelog is at $changelog_version, meson.build at $version"

# Meson uses ccache when it is there; debhelper gives the build a HOME of its own.
if command -v ccache >/dev/null; then
	CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
	export CCACHE_DIR
fi
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}"
# A pyenv or the like in PATH must not decide which meson runs; what the machine's administrator installed may.
export PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

log=$outdir/build.log
if ! (cd "$tree" && dpkg-buildpackage -us -uc -b) >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	die "dpkg-buildpackage failed; the whole log is $log"
fi
for package in "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo; do
	mv "$package" "$outdir/"
	[[ $package != *.deb ]] || echo "$outdir/${package##*/}"
done
