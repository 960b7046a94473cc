#!/bin/bash
# root.sh - Debian 12 and 13 root folders, to build and to test packages in.
#
# Usage: root.sh base RELEASE             print the folder of a minimal root; made by debootstrap when it is not there. Copy, never change it.
#        root.sh make RELEASE FOLDER      copy the minimal root to FOLDER, which must not exist
#        root.sh build RELEASE            print the folder of a root that has nett's build dependencies
#        root.sh install FOLDER PACKAGE…  install packages (names, or paths as seen in the root)
#        root.sh run FOLDER [--bind PATH:INSIDE]… COMMAND…   run a command in it, with processes and mounts of its own
# RELEASE is 12 or 13.
#
# Roots are kept under ${NETT_CACHE:-/var/cache/nett}/roots, named by what made them, and may be deleted at any time. The mirror is the one
# that this machine's apt uses. Root is needed: debootstrap makes devices and changes owners.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../frr-grpc/debian-archive.sh
source "$here/../frr-grpc/debian-archive.sh"

roots="$NETT_CACHE/roots"
arch=$(dpkg --print-architecture)

codename_of() {
	case $1 in
	12) echo bookworm ;;
	13) echo trixie ;;
	*) die "the release is 12 or 13, not '$1'" ;;
	esac
}

# apt in a root: the machine's mirrors, no recommended packages, no manuals to unpack and no indexes left over.
write_apt_configuration() {
	local root=$1 codename=$2 main=$3 security=$4
	cat >"$root/etc/apt/sources.list" <<-LIST
		deb $main $codename main
		deb $main $codename-updates main
	LIST
	if [[ -n $security ]]; then
		echo "deb $security $codename-security main" >>"$root/etc/apt/sources.list"
	fi
	cat >"$root/etc/apt/apt.conf.d/90nett" <<-'CONF'
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		Acquire::Retries "3";
		Acquire::Languages "none";
		DPkg::Options { "--force-confdef"; "--force-confold"; };
	CONF
	# There is no service manager in a chroot.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 0755 "$root/usr/sbin/policy-rc.d"
}

# A mirror that is a snapshot is past its date but correctly signed: said, and accepted, as in debian-archive.sh.
update_indexes() {
	local root=$1 log=$2
	enter "$root" apt-get -qq --error-on=any update >"$log" 2>&1 && return
	if ! grep 'is expired\|is not valid yet' "$log" >&2; then
		tail -n 20 "$log" >&2
		return 1
	fi
	printf 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n' >>"$root/etc/apt/apt.conf.d/90nett"
	enter "$root" apt-get -qq --error-on=any update >"$log" 2>&1
}

# enter ROOT [--bind PATH:INSIDE]... COMMAND...: in mount and process namespaces of its own, so that nothing stays mounted or running.
enter() {
	local root=$1 binds=()
	shift
	while [[ ${1:-} == --bind ]]; do
		binds+=("$2")
		shift 2
	done
	# shellcheck disable=SC2016  # for the inner shell
	unshare --mount --pid --ipc --uts --fork --kill-child --propagation private -- /bin/bash -c '
		set -euo pipefail
		root=$1 count=$2
		shift 2
		# a mount of its own: who makes namespaces inside changes how / propagates
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount --rbind /sys "$root/sys"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs -o mode=0755 run "$root/run"
		mkdir -p "$root/run/lock"
		for file in /etc/resolv.conf /etc/hosts; do
			rm -f "$root$file"
			cp -L "$file" "$root$file"
		done
		for ((; count > 0; count--)); do
			path=${1%%:*} inside=$root${1#*:}
			shift
			if [[ -d $path ]]; then mkdir -p "$inside"; else mkdir -p "${inside%/*}"; : >>"$inside"; fi
			mount --rbind "$path" "$inside"
		done
		exec env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
	' enter "$root" "${#binds[@]}" "${binds[@]}" "$@"
}

install_packages() {
	local root=$1 log="$1.log"
	shift
	update_indexes "$root" "$log" || die "apt-get update failed in $root; see $log"
	if ! enter "$root" ${NETT_DEBS:+--bind "$NETT_DEBS:/debs"} apt-get -q -y install "$@" >"$log" 2>&1; then
		tail -n 25 "$log" >&2
		die "apt-get could not install in $root: $*"
	fi
}

bootstrap() {
	local folder=$1 codename=$2 main security
	main=$(archive_uris main | head -n 1)
	security=$(archive_uris security | head -n 1)
	[[ -n $main ]] || die "no Debian mirror in this machine's apt sources (/etc/apt/sources.list, sources.list.d)"
	note "debootstrap $codename from $main"
	if ! debootstrap --variant=minbase --keyring="$(archive_keyring)" "$codename" "$folder" "$main" >"$folder.log" 2>&1; then
		tail -n 20 "$folder.log" >&2
		die "debootstrap $codename failed; the whole log is $folder.log"
	fi
	write_apt_configuration "$folder" "$codename" "$main" "$security"
	update_indexes "$folder" "$folder.log" || die "apt-get update failed in $folder; see $folder.log"
	enter "$folder" apt-get -q -y dist-upgrade >>"$folder.log" 2>&1 || die "apt-get dist-upgrade failed; see $folder.log"
	enter "$folder" apt-get clean
}

# cached NAME COMMAND...: makes $roots/NAME by COMMAND FOLDER when it is not there; an interrupted attempt leaves nothing that is trusted.
cached() {
	local name=$1
	shift
	if [[ ! -d $roots/$name ]]; then
		((EUID == 0)) || die "root is needed to make $roots/$name"
		archive_lock "$roots/lock"
		if [[ ! -d $roots/$name ]]; then
			rm -rf --one-file-system "$roots/$name.new"
			"$@" "$roots/$name.new"
			mv -T "$roots/$name.new" "$roots/$name"
		fi
	fi
	echo "$roots/$name"
}

hash_of() {
	sha256sum | cut -c1-12
}

base_name() {
	echo "base-$1-$arch-$(declare -f bootstrap write_apt_configuration | hash_of)"
}

make_base() {
	bootstrap "$2" "$(codename_of "$1")"
}

base() {
	codename_of "$1" >/dev/null
	cached "$(base_name "$1")" make_base "$1"
}

# The build dependencies by dpkg's own reckoning: of the alternatives, those that the release has. When they have changed, an earlier
# root of the same base gets what is new; a build that runs in it goes on, whatever its folder is called.
make_build() {
	local release=$1 folder=$2 from earlier=""
	from=$(base "$release")
	for earlier in "$roots/build-$release-$arch"-????????????; do
		[[ $(cat "$earlier/etc/nett-root-base" 2>/dev/null) == "${from##*/}" ]] || continue
		mv -T "$earlier" "$folder"
		break
	done
	if [[ ! -d $folder ]]; then
		cp -a "$from" "$folder"
		echo "${from##*/}" >"$folder/etc/nett-root-base"
	fi
	note "installing nett's build dependencies for Debian $release"
	mkdir -p "$folder/tmp/nett/debian"
	cp "$here/debian/control" "$here/debian/changelog" "$folder/tmp/nett/debian/"
	install_packages "$folder" dpkg-dev debhelper ccache
	if ! enter "$folder" apt-get -q -y build-dep /tmp/nett >"$folder.log" 2>&1; then
		tail -n 25 "$folder.log" >&2
		die "nett's build dependencies cannot be installed on Debian $release"
	fi
	rm -rf "$folder/tmp/nett"
	enter "$folder" apt-get clean
}

build() {
	# before the lock is taken, which making the base takes too
	base "$1" >/dev/null
	cached "build-$1-$arch-$({ base_name "$1" && sed -n '/^Build-Depends/,/^$/p' "$here/debian/control"; } | hash_of)" make_build "$1"
}

action=${1:-}
[[ -z $action ]] || shift
case $action:$# in
base:1 | build:1) "$action" "$1" ;;
make:2)
	[[ ! -e $2 ]] || die "$2 is there already"
	from=$(base "$1")
	cp -a "$from" "$2"
	;;
install:0 | install:1 | run:0 | run:1) die "usage: see the beginning of ${BASH_SOURCE[0]}" ;;
install:*) install_packages "$@" ;;
run:*) enter "$@" ;;
*) die "usage: see the beginning of ${BASH_SOURCE[0]}" ;;
esac
