#!/bin/bash
# build.sh - Debian packages of FRRouting 10.3 with a hardened northbound gRPC module.
#
# Usage: build.sh [--cached | --refresh]
#     (nothing)   print the folder of the packages, building them first when they are not there
#     --cached    print the folder, or exit with status 1 at once when a build would be needed
#     --refresh   look for a newer source version in the archive first (Debian 12)
#
# Debian 12: libyang3, frr and frr-grpc, from Debian 13's sources.
# Debian 13: frr-grpc only, the add-on for exactly the frr version that is installed (or would be).
# Install with: apt-get install "$(build.sh)"/*.deb   (or dpkg -i, when the dependencies are there)
#
# Packages are kept under ${NETT_CACHE:-/var/cache/nett}/frr/<hash of the inputs>. A build happens in
# a scratch folder and is renamed when it is complete, so an interrupted one leaves nothing behind
# that a later run would trust. Progress goes to stderr, the compilers' output to frr/build.log.
# What is needed to build is in the file build-depends; no root is needed with a NETT_CACHE of your own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=debian-archive.sh
source "$here/debian-archive.sh"

# Raised when the packages change without a new source version.
readonly kPackageRevision=3
readonly kMaintainer="nett maintainers <maintainers@nett.invalid>"
readonly kSourceSuite=trixie
readonly kMultipath=256

root="$NETT_CACHE/frr"
scratch="$root/scratch"
log="$root/build.log"
codename=$(debian_codename)
arch=$(dpkg --print-architecture)

# The version of Debian 13's stock frr that the add-on has to match.
stock_frr_version() {
	local version
	version=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' frr 2>/dev/null || true)
	if [[ $version == ii* ]]; then
		echo "${version#ii }"
		return
	fi
	version=$(apt-cache policy frr | awk '/Candidate:/ { print $2 }')
	[[ -n $version && $version != "(none)" ]] || die "apt knows no package frr: run apt-get update first"
	echo "$version"
}

# Hash of what shapes the result in this folder, and on Debian 13 of the frr to match.
inputs_hash() {
	{
		echo "$codename $arch ${wanted_version:-}"
		cd "$here" && sha256sum build.sh build-depends patches/*.patch overrides/*
	} | sha256sum | cut -c1-16
}

check_build_depends() {
	local release package missing=()
	[[ $codename == bookworm ]] && release=12 || release=13
	while read -r package; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
	done < <(sed -n -E -e 's/^([a-z].*)$/\1/p' -e "s/^$release: *//p" "$here/build-depends")
	((${#missing[@]} == 0)) || die "packages needed to build are not installed: ${missing[*]}"
}

# run STEP COMMAND...: one step of the build, its output in the log.
run() {
	local step=$1 start=$SECONDS status
	shift
	note "$step"
	# Not `if ! (...)`: bash would ignore set -e inside it.
	set +e
	(
		set -e
		echo "== $step"
		"$@"
	) >>"$log" 2>&1
	status=$?
	set -e
	if ((status != 0)); then
		tail -n 30 "$log" >&2
		die "$step failed after $((SECONDS - start)) s; the whole log is $log"
	fi
}

# fetch_source PACKAGE [VERSION]: unpacks the source (Debian's patches applied) into $scratch/PACKAGE.
fetch_source() {
	local package=$1 version=${2:-}
	mkdir -p "$scratch/download"
	if ! (cd "$scratch/download" && apt-get -c "$ARCHIVE_CONF" -qq -o APT::Sandbox::User=root \
		source --download-only --only-source "$package${version:+=$version}") >>"$log" 2>&1; then
		die "the archive has no source of $package ${version:-in $kSourceSuite}; a newer frr may have replaced it: update the installed one (apt-get install frr)"
	fi
	dpkg-source --no-check -x "$scratch/download/$package"_*.dsc "$scratch/$package" >>"$log" 2>&1
}

source_version() {
	dpkg-parsechangelog -l "$scratch/$1/debian/changelog" -S Version
}

# Debian's hardening flags, without debugging information: it doubles the time and is stripped anyway.
set_compiler_flags() {
	local flags
	export DEB_BUILD_MAINT_OPTIONS=hardening=+all
	flags=$(dpkg-buildflags --get CFLAGS)
	export CFLAGS=${flags/-g /}
	flags=$(dpkg-buildflags --get CXXFLAGS)
	export CXXFLAGS="${flags/-g /} -std=gnu++17"
	CPPFLAGS=$(dpkg-buildflags --get CPPFLAGS)
	LDFLAGS=$(dpkg-buildflags --get LDFLAGS)
	export CPPFLAGS LDFLAGS
	[[ -d /usr/lib/ccache ]] && export PATH="/usr/lib/ccache:$PATH"
	export HOME="${HOME:-/root}"
	# A pyenv or the like in PATH must not decide which Python FRR's generators run with.
	export PYTHON=/usr/bin/python3
	jobs=$(nproc)
}

build_libyang() {
	# cmake knows no CPPFLAGS, which the fortified functions are switched on with
	CFLAGS="$CFLAGS $CPPFLAGS" cmake -S "$scratch/libyang" -B "$scratch/libyang/obj" -G Ninja -DCMAKE_BUILD_TYPE=Release \
		-DENABLE_TESTS=OFF -DENABLE_TOOLS=OFF -DCMAKE_INSTALL_PREFIX=/usr \
		-DCMAKE_INSTALL_LIBDIR="lib/$multiarch"
	ninja -C "$scratch/libyang/obj" -j "$jobs"
	DESTDIR="$scratch/libyang-tree" ninja -C "$scratch/libyang/obj" install
}

# FRR is to find this libyang instead of an installed libyang-dev.
use_built_libyang() {
	export LIBYANG_CFLAGS="-I$scratch/libyang-tree/usr/include"
	export LIBYANG_LIBS="-L$scratch/libyang-tree/usr/lib/$multiarch -lyang"
	export CPPFLAGS="$CPPFLAGS $LIBYANG_CFLAGS"
	export LDFLAGS="$LDFLAGS -L$scratch/libyang-tree/usr/lib/$multiarch"
	export LD_LIBRARY_PATH="$scratch/libyang-tree/usr/lib/$multiarch"
}

# The flags of Debian's debian/rules as far as they shape libfrr, so that the add-on module fits the stock
# libfrr too; daemons and features that the project does not use are left out.
configure_frr() {
	local daemon off=()
	for daemon in ripd ripngd ospfd ospf6d ldpd nhrpd eigrpd babeld pimd pim6d pbrd fabricd vrrpd pathd isisd; do
		off+=("--disable-$daemon")
	done
	cd "$scratch/frr"
	autoreconf -fi
	LIBS=-latomic ./configure --prefix=/usr --sysconfdir=/etc --localstatedir=/var \
		--sbindir=/usr/lib/frr --libdir="/usr/lib/$multiarch/frr" \
		--with-moduledir="/usr/lib/$multiarch/frr/modules" LIBTOOLFLAGS="-rpath /usr/lib/$multiarch/frr" \
		--disable-dependency-tracking --with-vtysh-pager=/usr/bin/pager --with-libpam \
		--enable-multipath=$kMultipath --enable-user=frr --enable-group=frr --enable-vty-group=frrvty \
		--enable-configfile-mask=0640 --enable-logfile-mask=0640 --enable-grpc \
		--disable-doc --disable-snmp --disable-rpki --disable-scripting --disable-zeromq --disable-protobuf \
		--disable-ospfapi --disable-bgp-vnc --disable-bgp-bmp "${off[@]}"
}

patch_frr() {
	local file
	for file in "$here"/patches/*.patch; do
		patch -d "$scratch/frr" -p1 --fuzz=0 --no-backup-if-mismatch <"$file"
	done
}

build_frr() {
	make -C "$scratch/frr" -j "$jobs"
	make -C "$scratch/frr" install DESTDIR="$scratch/installed"
}

# Debian 13: only the module, its library, and what they are generated from.
build_module() {
	local built
	cd "$scratch/frr"
	# shellcheck disable=SC2016  # make's variable
	printf 'print-built-sources:\n\t@echo $(BUILT_SOURCES)\n' >"$scratch/print.mk"
	built=$(make -s -f Makefile -f "$scratch/print.mk" print-built-sources)
	# shellcheck disable=SC2086  # a list of files
	make -j "$jobs" $built
	make -j "$jobs" lib/grpc.la
	install -D -m 0644 lib/.libs/grpc.so "$scratch/installed/usr/lib/$multiarch/frr/modules/grpc.so"
	cp -P grpc/.libs/libfrrgrpc_pb.so.0* "$scratch/installed/usr/lib/$multiarch/frr/"
}

# --- Packages ---

move_into() { # TREE PATH...: moves paths of the installed tree into a package's tree
	local tree=$1 path
	shift
	for path in "$@"; do
		mkdir -p "$tree/$(dirname "$path")"
		mv "$scratch/installed/$path" "$tree/$path"
	done
}

tree_libyang3() {
	local tree="$scratch/tree/libyang3"
	mkdir -p "$tree/usr/lib/$multiarch"
	# Its YANG modules are compiled in; the copies for other tools would clash with libyang2's.
	cp -P "$scratch/libyang-tree/usr/lib/$multiarch"/libyang.so.* "$tree/usr/lib/$multiarch/"
	install -D -m 0644 "$scratch/libyang/debian/copyright" "$tree/usr/share/doc/libyang3/copyright"
	mkdir -p "$tree/DEBIAN"
	echo 'activate-noawait ldconfig' >"$tree/DEBIAN/triggers"
	echo "libyang 3 libyang3 (>= ${libyang_version%%-*})" >"$tree/DEBIAN/shlibs"
}

tree_frr_grpc() {
	local tree="$scratch/tree/frr-grpc" lib="usr/lib/$multiarch/frr"
	move_into "$tree" "$lib/modules/grpc.so" "$lib/libfrrgrpc_pb.so.0" "$lib/libfrrgrpc_pb.so.0.0.0"
	# Libtool leaves the build's own folders in a module that was not installed by make, where anybody might put a library one day.
	chrpath --replace "/$lib" "$tree/$lib/modules/grpc.so" >>"$log"
	install -D -m 0644 "$scratch/frr/debian/copyright" "$tree/usr/share/doc/frr-grpc/copyright"
	install -m 0644 "$here/README.md" "$here/NOTICE" "$here"/patches/*.patch "$tree/usr/share/doc/frr-grpc/"
	install -m 0644 "$scratch/frr/grpc/frr-northbound.proto" "$tree/usr/share/doc/frr-grpc/"
}

tree_frr() {
	local tree="$scratch/tree/frr" lib="usr/lib/$multiarch/frr" source="$scratch/frr" file
	rm -rf "$scratch/installed/usr/include"
	find "$scratch/installed" \( -name '*.la' -o -name '*.a' -o -name 'lib*.so' \) -delete
	rm -f "$scratch/installed/usr/lib/frr"/{frr,ssd,fpm_listener}
	move_into "$tree" usr/bin usr/lib/frr "$lib" usr/share/yang
	for file in frr-reload.py generate_support_bundle.py frr_babeltrace.py; do
		sed -i '1c #!/usr/bin/python3' "$tree/usr/lib/frr/$file"
	done
	install -m 0755 "$source/tools/frr-reload" "$tree/usr/lib/frr/frr-reload"
	mkdir -p "$tree/etc/frr" "$tree/var/log/frr" "$tree/DEBIAN"
	cp "$source"/tools/etc/frr/{daemons,frr.conf,support_bundle_commands.conf,vtysh.conf} "$tree/etc/frr/"
	# Daemons that this build does not have cannot be switched on.
	sed -i -E '/^(ospfd|ospf6d|ripd|ripngd|isisd|pimd|pim6d|ldpd|nhrpd|eigrpd|babeld|sharpd|pbrd|fabricd|vrrpd|pathd)(_options)?=/d' \
		"$tree/etc/frr/daemons"
	install -D -m 0644 "$source/tools/etc/iproute2/rt_protos.d/frr.conf" "$tree/etc/iproute2/rt_protos.d/frr.conf"
	install -D -m 0644 "$source/debian/frr.logrotate" "$tree/etc/logrotate.d/frr"
	install -D -m 0644 "$source/debian/frr.pam" "$tree/etc/pam.d/frr"
	install -D -m 0644 "$source/debian/frr.tmpfile" "$tree/usr/lib/tmpfiles.d/frr.conf"
	install -D -m 0644 "$source/tools/frr.service" "$tree/lib/systemd/system/frr.service"
	sed -i 's|/var/run/|/run/|' "$tree/lib/systemd/system/frr.service"
	install -D -m 0644 "$source/debian/copyright" "$tree/usr/share/doc/frr/copyright"
	(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$tree/DEBIAN/conffiles"
	# Debian's own scripts make the user, the groups and the folders; they start no daemon.
	for file in preinst postinst postrm; do
		install -m 0755 "$source/debian/frr.$file" "$tree/DEBIAN/$file"
		sed -i '/^#DEBHELPER#$/d' "$tree/DEBIAN/$file"
	done
}

# shared_library_depends TREE: the Depends entry for the libraries that the files of TREE load.
shared_library_depends() {
	local tree=$1 work="$scratch/shlibdeps" files
	mkdir -p "$work/debian"
	printf 'Source: frr\n\nPackage: frr\nArchitecture: any\n' >"$work/debian/control"
	: >"$work/shlibs.local"
	[[ $codename == bookworm ]] && echo "libyang 3 libyang3 (>= ${libyang_version%%-*})" >"$work/shlibs.local"
	mapfile -t files < <(find "$tree" -type f \( -perm -0100 -o -name '*.so*' \) -not -path '*/DEBIAN/*' \
		-exec sh -c 'head -c 4 "$1" | grep -q ELF' _ {} \; -print)
	(cd "$work" && dpkg-shlibdeps -O -Lshlibs.local --ignore-missing-info \
		-l"$scratch/libyang-tree/usr/lib/$multiarch" -l"$scratch/tree/frr/usr/lib/$multiarch/frr" \
		-l"$scratch/tree/frr-grpc/usr/lib/$multiarch/frr" -l"$scratch/frr/lib/.libs" "${files[@]}" 2>>"$log") |
		sed 's/^shlibs:Depends=//'
}

# write_changelog NAME VERSION SOURCE: Debian's changelog with an entry on top for what is done here.
write_changelog() {
	local name=$1 version=$2 source=$3 doc="$scratch/tree/$1/usr/share/doc/$1"
	mkdir -p "$doc"
	{
		printf '%s (%s) %s; urgency=medium\n\n  * Built for nett from the sources of Debian %s.\n\n' \
			"$source" "$version" "$codename" "$kSourceSuite"
		printf ' -- %s  %s\n\n' "$kMaintainer" "$(date -R -u -d "@$((SOURCE_DATE_EPOCH + 60))")"
		cat "$scratch/$source/debian/changelog"
	} | gzip -9n >"$doc/changelog.Debian.gz"
}

# package NAME SOURCE VERSION DEPENDS EXTRA_FIELDS SYNOPSIS DESCRIPTION: $scratch/tree/NAME becomes a .deb in $scratch/result.
package() {
	local name=$1 source=$2 version=$3 depends=$4 extra=$5 synopsis=$6 description=$7 tree="$scratch/tree/$1" libraries
	find "$tree" -type f -not -path '*/DEBIAN/*' -exec sh -c 'head -c 4 "$1" | grep -q ELF' _ {} \; \
		-exec strip --strip-unneeded --remove-section=.comment --remove-section=.note {} +
	find "$tree" -type f -name '*.so*' -exec chmod 0644 {} +
	write_changelog "$name" "$version" "$source"
	install -D -m 0644 "$here/overrides/$name" "$tree/usr/share/lintian/overrides/$name"
	# lintian differs too: an override that a release does not need is a finding of its own.
	[[ ! -e $here/overrides/$name.$codename ]] || cat "$here/overrides/$name.$codename" >>"$tree/usr/share/lintian/overrides/$name"
	libraries=$(shared_library_depends "$tree")
	[[ -n $libraries ]] || die "no library dependencies found for $name; see $log"
	mkdir -p "$tree/DEBIAN" "$scratch/result"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nPriority: optional\n' "$name" "$version" "$arch"
		printf 'Maintainer: %s\nDepends: %s\n' "$kMaintainer" "${depends:+$depends, }$libraries"
		printf '%s' "$extra"
		printf 'Nett-Inputs: %s\nDescription: %s\n' "$key" "$synopsis"
		fold -s -w 76 <<<"$description" | sed 's/^/ /; s/ *$//'
		printf ' .\n Built by packaging/frr-grpc of nett from the sources of Debian %s.\n' "$kSourceSuite"
	} >"$tree/DEBIAN/control"
	(cd "$tree" && find . -type f -not -path './DEBIAN/*' -not -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) \
		>"$tree/DEBIAN/md5sums"
	find "$tree" -type d -exec chmod 0755 {} +
	dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$scratch/result/" >>"$log"
}

package_frr_grpc() { # VERSION FRR_VERSION
	package frr-grpc frr "$1" "frr (= $2)" $'Section: net\n' "FRRouting's northbound gRPC module, hardened" \
		"A module for zebra and bgpd, through which nett programs them. It has a patch against what lets a client end or corrupt a daemon; README.md tells of each part of it."
}

package_for_bookworm() {
	local frr_version="$1~nett12.$kPackageRevision"
	tree_libyang3
	tree_frr_grpc
	tree_frr
	package libyang3 libyang "$libyang_version~nett12.$kPackageRevision" "" $'Section: libs\nMulti-Arch: same\n' \
		"parser toolkit for IETF YANG data modeling language (library)" \
		"YANG is a language to model configuration and state of network devices. FRRouting reads its own models with this library."
	package frr frr "$frr_version" "iproute2, passwd" \
		$'Section: net\nRecommends: logrotate, lsof, python3\nConflicts: frr-pythontools, frr-snmp, frr-rpki-rtrlib, pimd\nReplaces: frr-pythontools\n' \
		"FRRouting: zebra, mgmtd, staticd, bgpd, bfdd and vtysh" \
		"Routing daemons for BGP, BFD and static routes, as in Debian's package of the same name, for Debian 12, which has an older FRRouting without mgmtd."
	package_frr_grpc "$frr_version" "$frr_version"
}

package_for_trixie() {
	tree_frr_grpc
	package_frr_grpc "$1+nett$kPackageRevision" "$1"
}

build() {
	local start=$SECONDS
	multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	set_compiler_flags
	run "patching FRR" patch_frr
	if [[ $codename == bookworm ]]; then
		run "building libyang $libyang_version" build_libyang
		use_built_libyang
	fi
	run "configuring FRR $frr_version" configure_frr
	if [[ $codename == bookworm ]]; then
		run "building FRR" build_frr
		package_for_bookworm "$frr_version"
	else
		run "building the gRPC module" build_module
		package_for_trixie "$frr_version"
	fi
	echo "frr $frr_version${libyang_version:+, libyang $libyang_version}, built on $codename $arch" >"$scratch/result/complete"
	note "built in $((SECONDS - start)) s"
}

# fetch_and_build: makes $root/current-$inputs point at a folder with finished packages.
fetch_and_build() {
	local frr_version libyang_version=""
	rm -rf "$scratch"
	mkdir -p "$scratch"
	: >"$log"
	archive_open frr-source deb-src "$kSourceSuite"
	fetch_source frr "${wanted_version:-}"
	frr_version=$(source_version frr)
	if [[ $codename == bookworm ]]; then
		fetch_source libyang
		libyang_version=$(source_version libyang)
	fi
	SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$scratch/frr/debian/changelog" -S Timestamp)
	export SOURCE_DATE_EPOCH
	key=$(echo "$inputs $frr_version $libyang_version" | sha256sum | cut -c1-16)
	if [[ ! -e $root/$key/complete ]]; then
		rm -rf "${root:?}/$key"
		build
		sync -f "$scratch/result"
		mv -T "$scratch/result" "$root/$key"
	fi
	ln -sfn "$key" "$scratch/current"
	mv -T "$scratch/current" "$current"
	rm -rf "$scratch"
}

mode=${1:-}
case $mode in
"" | --cached | --refresh) ;;
*) die "unknown argument $mode; usage: build.sh [--cached | --refresh]" ;;
esac
case $codename in
bookworm) wanted_version="" ;;
trixie) wanted_version=$(stock_frr_version) ;;
*) die "Debian 12 (bookworm) or 13 (trixie) is needed, this is $codename" ;;
esac
inputs=$(inputs_hash)
current="$root/current-$inputs"
if [[ $mode == --refresh || ! -e $current/complete ]]; then
	[[ $mode != --cached ]] || exit 1
	check_build_depends
	archive_lock "$root/lock"
	# another run may have built them while this one waited
	[[ $mode != --refresh && -e $current/complete ]] || fetch_and_build
fi
readlink -f "$current"
