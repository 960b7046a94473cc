// Boot media from files: an EFI system partition, a USB image around it, an ISO around it. Made by mkfs.vfat, mtools,
// sgdisk and xorriso without root or loop devices. Deterministic: identifiers and times are constants, so the same
// files give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/result.hpp"
#include "builder/file.hpp"

namespace nett::builder {

struct EspFile {
    std::string path;  // inside the partition: "EFI/BOOT/BOOTX64.EFI"
    std::string bytes;
};

// Makes a FAT32 file system of kEspBytes as work.at("esp.img") holding `files`, and answers with its path.
Result<std::string> make_esp(const WorkFolder& work, const std::vector<EspFile>& files);

// A GPT disk image with the ESP as its one partition: UEFI boots it from a stick.
Result<void> make_usb_image(const std::string& esp, const std::string& output);

// An ISO 9660 image with the ESP as El Torito EFI image and as GPT partition: UEFI boots it as CD, as virtual CD and
// from a stick. With `lkrn`, an iPXE for BIOS, BIOS boots it as CD and from a stick too, by ISOLINUX.
Result<void> make_iso_image(const std::string& esp, const std::string& lkrn, const WorkFolder& work,
                            const std::string& output);

}  // namespace nett::builder
