#!/bin/bash
# packages.sh - installs what building nett, running its lab and its tests need, on Debian 12 and 13.
#
# Usage: packages.sh [--list] [GROUP...]     groups: build fuzz bench lint lab test deb frr-build; default: all
#     --list   print the packages of the groups instead of installing them
#
# When everything is there already this takes a fraction of a second and needs no network; apt's indexes are
# fetched only when something is missing. Safe to run twice at once and beside another apt: it waits for
# apt's locks (ten minutes at most). Needs root when something has to be installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

readonly kLockTimeoutSeconds=600

# One package a line, with the reason; "12:" or "13:" limits a line to that release.
package_list() {
	cat <<-'EOF'
		[build]
		git                       # versions come from the clone
		meson                     # the build system
		ninja-build
		python3                   # writes nett.conf(5) from the commands
		g++
		pkg-config
		ccache                    # a rerun of the checks compiles little
		mold                      # links in a tenth of the time of the stock linker
		12: libboost1.81-dev      # Asio and Beast; 1.74, Debian 12's default, has a broken awaitable with g++ 12
		12: libboost-json1.81-dev
		12: libboost-url1.81-dev
		12: libboost-system1.81-dev
		13: libboost-dev          # 1.83
		13: libboost-json-dev
		13: libboost-url-dev
		13: libboost-system-dev
		libssl-dev                # TLS of the metadata service, certificates
		libgrpc++-dev             # management API, client of FRR's northbound
		libgrpc-dev
		libprotobuf-dev
		protobuf-compiler
		protobuf-compiler-grpc
		libnl-3-dev               # addresses, routes and link events
		libnl-route-3-dev
		libsqlite3-dev            # the state store
		libsqlitecpp-dev
		libyaml-cpp-dev           # Talos machine configurations
		libcli11-dev              # command lines
		libedit-dev               # line editing of nettsh
		libspdlog-dev             # logs
		libfmt-dev
		libkainjow-mustache-dev   # templates of boot scripts
		libre2-dev                # regular expressions of the shell's pipes, in bounded time
		libexpected-dev           # tl::expected
		libsystemd-dev            # readiness, watchdog, journal
		libsquashfs-dev           # embedded configurations are squashfs images
		libarchive-dev            # backups are tar archives
		prometheus-cpp-dev        # text format of the metrics
		libzstd-dev               # Talos' early config is zstd on the kernel command line
		libgtest-dev              # unit tests
		libgmock-dev
		scdoc                     # manual pages

		[fuzz]
		clang-19                  # libFuzzer targets; in the release itself, on Debian 12 and 13
		libclang-rt-19-dev        # its sanitizers and libFuzzer

		[bench]
		nginx-light               # what the metadata service is measured beside

		[lint]
		clang-format
		clang-tidy
		shellcheck                # the scripts of the set-up, the lab and the packaging
		systemd                   # systemd-analyze: the units that the packages install

		[lab]
		iproute2                  # namespaces, links, addresses
		iputils-ping
		ndisc6                    # rdisc6: what a router advertises
		bird2                     # a BGP speaker that is not FRR
		nftables                  # cutting links in tests
		dnsmasq-base              # proxy-DHCP and TFTP of a homelab
		procps                    # sysctl
		13: frr                   # stock; Debian 12's comes from packaging/frr-grpc
		qemu-system-x86           # the machine that boots
		qemu-utils
		ovmf                      # its UEFI firmware
		qemu-system-arm           # the arm64 machine that boots
		qemu-efi-aarch64          # its UEFI firmware
		sbsigntool                # signs images for Secure Boot
		isolinux                  # ISO images that BIOS boots too
		syslinux-common
		xorriso                   # ISO images
		mtools                    # files into a FAT file system, without root or loop devices
		gdisk                     # GPT
		dosfstools
		grub-efi-amd64-bin        # the machine's own disk boots GRUB, as an installed system would
		grub-common               # grub-mkimage
		squashfs-tools            # to look into images that nett makes
		busybox-static            # userland of the small initramfs
		cpio
		kmod                      # dependencies between kernel modules
		xz-utils
		zstd
		openssl                   # the lab's PKI
		ca-certificates
		debian-archive-keyring    # keys that the iPXE and FRR downloads are checked against
		curl                      # an mTLS client that is not ours
		jq
		sqlite3                   # to look into the state file
		etcd-server               # the state that several servers share; 3.4 in bookworm, 3.5 in trixie
		etcd-client               # etcdctl: compaction, and what is in it
		libfaketime               # one agent's clock jumps, in tests/lab/storm
		tmux                      # demo --keep

		[test]
		python3                   # integration and end-to-end tests
		python3-pytest
		python3-yaml
		python3-pexpect           # the interactive shell
		python3-grpcio            # a gRPC client that is not ours, against FRR's module
		python3-protobuf
		exabgp                    # the health checker that bench/anycast compares with
		python3-sushy             # a Redfish client that is not ours, measured beside it
		prometheus                # promtool, and a Prometheus that scrapes the agent
		python3-venv              # sushy-tools' emulator of BMCs: where it is installed, and what it needs
		python3-bcrypt
		python3-flask
		python3-pbr
		python3-requests
		python3-tenacity
		python3-webob
		strace                    # that no key is on a command line
		golang-go                 # step-ca and step (step.sh), Talos' own config module (talos-config.sh): not written by this project
		python3-jsonschema        # nodes.yaml by a validator that is not ours

		[deb]
		debhelper                 # packaging/deb/build.sh
		dpkg-dev
		fakeroot
		lintian                   # what Debian would say of the packages
		debootstrap               # clean roots of Debian 12 and 13, to build and to test in
		debian-archive-keyring
	EOF
	echo "[frr-build]"
	cat "$here/../../../packaging/frr-grpc/build-depends"
}

# packages_of RELEASE GROUP...: names of the packages, each once; no group means all.
packages_of() {
	local release=$1
	shift
	package_list | awk -v release="$release" -v groups=" $* " '
		{ sub(/[ \t]*#.*/, "") }
		/^\[/ { group = substr($1, 2, length($1) - 2); next }
		groups !~ /^ *$/ && index(groups, " " group " ") == 0 { next }
		/^[0-9]+:/ { if ($1 != release ":") next; $0 = $2 }
		NF && !seen[$1]++ { print $1 }'
}

# missing_of PACKAGE...: those that are not installed.
missing_of() {
	{
		# "unknown package" is an answer here, not a failure
		dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true
	} | awk -v wanted="$*" '
		/^.i / { installed[$2] = 1 }
		END { n = split(wanted, name, " "); for (i = 1; i <= n; i++) if (!(name[i] in installed)) print name[i] }'
}

# apt ARGUMENT...: apt-get without questions; waits while another process holds one of apt's locks, of which
# apt-get itself waits only for dpkg's.
apt() {
	local output deadline=$((SECONDS + kLockTimeoutSeconds)) told=""
	output=$(mktemp)
	# shellcheck disable=SC2064  # the name is known now
	trap "rm -f '$output'" RETURN
	while ! DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=$kLockTimeoutSeconds "$@" >"$output" 2>&1; do
		if grep -q 'Could not get lock\|Unable to lock' "$output" && ((SECONDS < deadline)); then
			[[ -n $told ]] || note "waiting for another apt"
			told=yes
			# apt offers no way to wait for this lock
			sleep 1
			continue
		fi
		tail -n 20 "$output" >&2
		return 1
	done
}

# The packages that apt does not know or cannot choose a version of.
unavailable_of() {
	apt-cache policy "$@" | awk -v wanted="$*" '
		/^[^ ]/ { package = $1; sub(/:.*/, "", package) }
		/^  Candidate: [^(]/ { known[package] = 1 }
		END { n = split(wanted, name, " "); for (i = 1; i <= n; i++) if (!(name[i] in known)) print name[i] }'
}

install() {
	local unavailable
	((EUID == 0)) || die "not installed: $*; run this as root"
	archive_lock "$NETT_CACHE/packages.lock"
	# another run may have installed them while this one waited
	mapfile -t missing < <(missing_of "$@")
	((${#missing[@]} > 0)) || return 0
	note "installing ${#missing[@]} packages: ${missing[*]}"
	apt update || die "apt-get update failed; are the machine's package sources reachable?"
	unavailable=$(unavailable_of "${missing[@]}")
	[[ -z $unavailable ]] || die "this machine's package sources do not have: ${unavailable//$'\n'/ }"
	apt install -y --no-install-recommends "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
	mapfile -t missing < <(missing_of "${missing[@]}")
	((${#missing[@]} == 0)) || die "still not installed: ${missing[*]}"
}

case $(debian_codename) in
bookworm) release=12 ;;
trixie) release=13 ;;
*) die "Debian 12 or 13 is needed" ;;
esac
action=install
if [[ ${1:-} == --list ]]; then
	action=list
	shift
fi
for group in "$@"; do
	[[ $(package_list) == *"[$group]"* ]] || die "no group of packages '$group'; usage: packages.sh [--list] [GROUP...]"
done
mapfile -t packages < <(packages_of "$release" "$@")
if [[ $action == list ]]; then
	printf '%s\n' "${packages[@]}"
	exit
fi
mapfile -t missing < <(missing_of "${packages[@]}")
((${#missing[@]} == 0)) || install "${missing[@]}"
