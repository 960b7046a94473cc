#!/bin/bash
# disk.sh - a disk with a system on it, for a machine that shall boot from its own disk.
#
# Usage: disk.sh OUT.img
#
# Makes a 64 MiB raw image with a GPT and an EFI system partition. UEFI firmware that boots it starts GRUB,
# which prints NETT-LAB-DISK-BOOT on the first serial port and powers the machine off. An existing OUT.img is
# replaced in one step. Needs neither root nor loop devices, and takes well under a second.
set -euo pipefail

readonly kDiskMiB=64
readonly kSectorsPerMiB=2048
# Fixed, so that the same tools give the same bytes.
readonly kDiskGuid=6e657474-0000-4000-8000-000000000001
readonly kEspGuid=6e657474-0000-4000-8000-000000000002
readonly kEspType=ef00

if (($# != 1)); then
	echo "usage: disk.sh OUT.img" >&2
	exit 2
fi
out=$1
export PATH=$PATH:/usr/sbin:/sbin
export SOURCE_DATE_EPOCH=0
scratch=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# The sleep lets the serial port drain.
cat >"$scratch/grub.cfg" <<'EOF'
serial --unit=0 --speed=115200
terminal_output serial
echo NETT-LAB-DISK-BOOT
sleep 1
halt
EOF
grub-mkimage -O x86_64-efi -p / -c "$scratch/grub.cfg" -o "$scratch/BOOTX64.EFI" serial terminal echo sleep halt

# The partition starts at 1 MiB; the last MiB holds the backup GPT.
esp_mib=$((kDiskMiB - 2))
truncate -s "${esp_mib}M" "$scratch/esp"
mkfs.vfat --invariant -F 32 -s 1 -n ESP "$scratch/esp" >/dev/null
mmd -i "$scratch/esp" ::/EFI ::/EFI/BOOT
mcopy -i "$scratch/esp" "$scratch/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI

truncate -s "${kDiskMiB}M" "$scratch/disk"
sgdisk --disk-guid=$kDiskGuid --new=1:$kSectorsPerMiB:+${esp_mib}M --typecode=1:$kEspType \
	--partition-guid=1:$kEspGuid --change-name=1:ESP "$scratch/disk" >/dev/null
dd if="$scratch/esp" of="$scratch/disk" bs=1M seek=1 conv=notrunc,sparse status=none
mv "$scratch/disk" "$out"
