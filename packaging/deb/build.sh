#!/bin/bash
# build.sh - makes nett's Debian packages on Debian 12 and 13.
#
# Usage: build.sh [OUTDIR]      default: build/deb below the source
#
# The files that git tracks, as they are now, are copied to a temporary folder and built there with Debian's own flags:
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
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/nett

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

# Meson uses ccache when it is there; debhelper gives the build a HOME of its own, and the temporary folder has another name
# each time.
if command -v ccache >/dev/null; then
	CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
	export CCACHE_DIR CCACHE_BASEDIR="$work" CCACHE_NOHASHDIR=1
fi
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}"
# A pyenv or the like in PATH must not decide which meson runs.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin"

log=$outdir/build.log
if ! (cd "$tree" && dpkg-buildpackage -us -uc -b) >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	die "dpkg-buildpackage failed; the whole log is $log"
fi
for package in "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo; do
	mv "$package" "$outdir/"
	[[ $package != *.deb ]] || echo "$outdir/${package##*/}"
done
