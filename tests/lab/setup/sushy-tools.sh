#!/bin/bash
# sushy-tools.sh - OpenStack's emulator of BMCs (sushy-tools), a Redfish service that this project has not written.
#
# Usage: sushy-tools.sh
#     prints the folder whose bin/sushy-emulator runs it; no virtualisation is needed with --fake
#
# Debian has no package of it. One version is installed from the Python package index, its digest pinned, into a virtual environment in the
# cache; what it is built on comes from Debian (packages.sh, group test).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../packaging/frr-grpc/debian-archive.sh
source "$here/../../../packaging/frr-grpc/debian-archive.sh"

readonly kVersion=2.2.0
readonly kDigest=a9efb547beee24b3a81a8db0af1c99ffa3818b82013a6165188734abffe95f65

folder="$NETT_CACHE/sushy-tools/$kVersion"

archive_lock "$NETT_CACHE/sushy-tools.lock"
if [[ ! -e $folder/installed ]]; then
	note "installing sushy-tools $kVersion"
	rm -rf "$folder"
	mkdir -p "$folder"
	/usr/bin/python3 -m venv --system-site-packages "$folder" >&2
	"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		-r /dev/stdin >&2 <<<"sushy-tools==$kVersion --hash=sha256:$kDigest"
	touch "$folder/installed"
fi
echo "$folder"
