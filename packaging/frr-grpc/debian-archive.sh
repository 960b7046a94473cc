# shellcheck shell=bash
# debian-archive.sh - read suites of the Debian archive that this machine is not configured for.
#
# Usage (from a bash script with `set -euo pipefail`):
#     source debian-archive.sh
#     archive_open trixie-src deb-src trixie      # sets ARCHIVE_CONF
#     apt-get -c "$ARCHIVE_CONF" source ...
#
# The mirror is the one that the machine's own apt sources use, so it works behind local mirrors and
# proxies alike. Everything apt writes goes to a private folder under the cache: /etc/apt, the
# system's package lists and its package cache are never touched. Every index is checked against
# Debian's own archive keys (debian-archive-keyring).

# A failure inside $(...) is a failure, as set -e is meant to say.
shopt -s inherit_errexit

# Re-creatable files of the whole project; any of it may be deleted at any time.
NETT_CACHE="${NETT_CACHE:-/var/cache/nett}"

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

note() {
	echo "${0##*/}: $*" >&2
}

# Codename of the Debian release of this machine (bookworm, trixie).
debian_codename() {
	(
		# shellcheck disable=SC1091
		. /etc/os-release
		[[ ${ID:-} == debian ]] || die "this is ${PRETTY_NAME:-an unknown system}; Debian 12 or 13 is needed"
		echo "${VERSION_CODENAME:?}"
	)
}

# The file with the public keys of the Debian archive.
archive_keyring() {
	local file
	for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[[ -r $file ]] && echo "$file" && return
	done
	die "Debian's archive keys are missing: install the package debian-archive-keyring"
}

# archive_uris main|security: the machine's mirrors of the Debian archive, likeliest first. A third
# party's repository may use Debian's suite names too; the signature check of archive_open tells.
archive_uris() {
	local codename
	codename=$(debian_codename)
	apt-get indextargets --format "\$(REPO_URI) \$(RELEASE)" 'Created-By: Packages' |
		awk -v kind="$1" -v codename="$codename" '
			$1 ~ /^cdrom:/ { next }
			{ suite = $2; security = suite ~ /(-security$|\/updates$)/ }
			{ sub(/(-security|\/updates)$/, "", suite) }
			suite != codename && suite !~ /^(old|oldold)?stable$/ { next }
			security != (kind == "security") { next }
			{ print ($1 ~ /debian(-security)?\/?$/ ? 0 : 1), $1 }' |
		sort -s -k1,1n | awk '!seen[$2]++ { print $2 }'
}

# archive_write_conf DIR TYPE MAIN_URI SECURITY_URI SUITE...: the private apt configuration.
archive_write_conf() {
	local dir=$1 type=$2 main=$3 security=$4 keyring target=Packages suite
	shift 4
	keyring=$(archive_keyring)
	[[ $type == deb-src ]] && target=Sources
	{
		printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\nTargets: %s\n\n' \
			"$type" "$main" "$*" "$keyring" "$target"
		for suite in "$@"; do
			# unstable has no security suite: fixes go straight into it
			if [[ -n $security && $suite != unstable ]]; then
				printf 'Types: %s\nURIs: %s\nSuites: %s-security\nComponents: main\nSigned-By: %s\nTargets: %s\n\n' \
					"$type" "$security" "$suite" "$keyring" "$target"
			fi
		done
	} >"$dir/sources.d/archive.sources"
	# The hooks of the machine's own configuration are for its own package lists (some delete the
	# system's package cache, which another apt may be using right now).
	cat >"$dir/apt.conf" <<-EOF
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Pre-Invoke;
		#clear DPkg::Post-Invoke;
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$dir/sources.d";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::Cache "$dir/cache";
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
		Acquire::GzipIndexes "true";
		Acquire::AllowInsecureRepositories "false";
		Acquire::AllowDowngradeToInsecureRepositories "false";
		APT::Get::AllowUnauthenticated "false";
		Acquire::Retries "3";
	EOF
}

# archive_update DIR: fetches the indexes that DIR/apt.conf names. An index that is past its date (the mirror is
# a snapshot) or before it (the clock is wrong) but correctly signed is accepted, and said.
archive_update() {
	local dir=$1
	if apt-get -c "$dir/apt.conf" -qq --error-on=any update >"$dir/update.log" 2>&1; then
		return 0
	fi
	grep 'is expired\|is not valid yet' "$dir/update.log" >&2 || return 1
	note "using the mirror all the same: its signature is good; only the date is checked no more"
	printf 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n' >>"$dir/apt.conf"
	apt-get -c "$dir/apt.conf" -qq --error-on=any update >"$dir/update.log" 2>&1
}

# archive_open NAME deb|deb-src SUITE...: fetches the indexes of the suites and sets ARCHIVE_CONF to
# the configuration file for `apt-get -c`. NAME keeps concurrent users of different suites apart; the
# caller holds a lock of its own. Ends the script when no mirror has the suites with a good signature.
archive_open() {
	local name=$1 type=$2 dir="$NETT_CACHE/apt/$1" uri security uris
	shift 2
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d"
	uris=$(archive_uris main)
	security=$(archive_uris security | head -n 1)
	[[ -n $uris ]] || die "no Debian mirror in this machine's apt sources (/etc/apt/sources.list, sources.list.d)"
	for uri in $uris; do
		archive_write_conf "$dir" "$type" "$uri" "$security" "$@"
		if archive_update "$dir"; then
			# shellcheck disable=SC2034  # for the caller
			ARCHIVE_CONF="$dir/apt.conf"
			return
		fi
		cat "$dir/update.log" >&2
		note "no usable $* ($name) at $uri"
	done
	die "cannot read the Debian suite $*: the machine's mirror lacks it, or its signature is not by a key of $(archive_keyring) (a newer debian-archive-keyring may be needed)"
}

# archive_lock FILE: waits until no other process holds FILE; held until this script ends.
archive_lock() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1"
	if ! flock -n 9; then
		note "waiting for another run that holds $1"
		flock 9
	fi
}
