#include "builder/disk_image.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "builder/process.hpp"

namespace nett::builder {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kMebibyte = 1 << 20;
// FAT32 needs at least 65525 clusters (Microsoft's FAT specification 1.03): 33 MiB with clusters of one sector is the
// smallest.
constexpr std::uint64_t kEspBytes = 36 * kMebibyte;
constexpr std::uint64_t kPartitionStart = kMebibyte;
// One more MiB at the end holds the backup GPT.
constexpr std::uint64_t kUsbBytes = kPartitionStart + kEspBytes + kMebibyte;

// Identifiers are constants: a boot entry that the firmware stored for a stick survives writing a newer image to it.
constexpr const char* kVolumeSerial = "4E455454";
constexpr const char* kDiskGuid = "6E657474-B007-4000-8000-000000000001";
constexpr const char* kPartitionGuid = "6E657474-B007-4000-8000-000000000002";
constexpr const char* kEspTypeGuid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";  // UEFI 2.10 table 5-7

// Times in the file systems: 2025-01-01T00:00:00Z.
const std::vector<std::string>& tool_environment() {
    static const std::vector<std::string> environment{"SOURCE_DATE_EPOCH=1735689600", "TZ=UTC", "LC_ALL=C",
                                                      "MTOOLSRC=/dev/null", "HOME=/nonexistent"};
    return environment;
}

Result<void> tool(const std::vector<std::string>& arguments) {
    return run_tool(arguments, tool_environment());
}

// A sparse file of the given size, readable by its owner alone.
Result<void> make_empty(const std::string& path, std::uint64_t size) {
    const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return fail(system_error(path));
    return {};
}

// Copies `from` into `to` at `offset`, leaving out blocks of zeros, which a new file has anyway.
Result<void> copy_into(const std::string& from, const std::string& to, std::uint64_t offset) {
    const Descriptor source(from, O_RDONLY);
    if (source.get() < 0) return fail(system_error(from));
    const Descriptor target(to, O_WRONLY);
    if (target.get() < 0) return fail(system_error(to));
    std::vector<char> block(64 * 1024);
    for (;;) {
        const ssize_t size = ::read(source.get(), block.data(), block.size());
        if (size < 0) return fail(system_error(from));
        if (size == 0) return {};
        const auto end = block.begin() + size;
        if (std::any_of(block.begin(), end, [](char byte) { return byte != 0; }) &&
            ::pwrite(target.get(), block.data(), static_cast<std::size_t>(size), static_cast<off_t>(offset)) != size) {
            return fail(system_error(to));
        }
        offset += static_cast<std::uint64_t>(size);
    }
}

// The folders that the files need, parents first.
std::set<std::string> folders_of(const std::vector<EspFile>& files) {
    std::set<std::string> result;
    for (const EspFile& file : files) {
        for (std::size_t slash = file.path.find('/'); slash != std::string::npos;
             slash = file.path.find('/', slash + 1)) {
            result.insert(file.path.substr(0, slash));
        }
    }
    return result;
}

// The files under their own names in `work`, grouped by the folder that they go to.
Result<std::map<std::string, std::vector<std::string>>> put_copies(const WorkFolder& work,
                                                                   const std::vector<EspFile>& files) {
    std::map<std::string, std::vector<std::string>> copies;
    for (const EspFile& file : files) {
        const std::size_t slash = file.path.rfind('/');
        const std::string name = slash == std::string::npos ? file.path : file.path.substr(slash + 1);
        const std::string folder = slash == std::string::npos ? "" : file.path.substr(0, slash);
        const std::string place = work.at("esp/" + folder);
        NETT_TRY(make_directories(place));
        NETT_TRY(write_files({{place + "/" + name, file.bytes, kPrivateMode}}));
        copies[folder].push_back(place + "/" + name);
    }
    return copies;
}

// What Debian's packages isolinux and syslinux-common have.
constexpr const char* kIsolinux = "/usr/lib/ISOLINUX/isolinux.bin";
constexpr const char* kIsolinuxMbr = "/usr/lib/ISOLINUX/isohdpfx.bin";
constexpr const char* kLdlinux = "/usr/lib/syslinux/modules/bios/ldlinux.c32";
constexpr std::size_t kMaxLoaderBytes = 1 << 20;
constexpr std::string_view kIsolinuxConfig =
    "SERIAL 0 115200\nDEFAULT nett\nPROMPT 0\nTIMEOUT 1\nLABEL nett\nKERNEL /isolinux/ipxe.krn\n";

// The ISO's own files for BIOS: ISOLINUX, which starts iPXE.
Result<void> put_bios_files(const std::string& tree, const std::string& lkrn) {
    NETT_TRY(make_directories(tree + "/isolinux"));
    std::vector<NewFile> files{{tree + "/isolinux/ipxe.krn", lkrn, kPrivateMode},
                               {tree + "/isolinux/isolinux.cfg", std::string(kIsolinuxConfig), kPrivateMode}};
    for (const auto& [from, name] : {std::pair(kIsolinux, "isolinux.bin"), std::pair(kLdlinux, "ldlinux.c32")}) {
        auto bytes = read_file(from, kMaxLoaderBytes);
        if (!bytes) {
            bytes.error().message += "; install the packages isolinux and syslinux-common";
            return fail(std::move(bytes.error()));
        }
        files.push_back({tree + "/isolinux/" + name, std::move(*bytes), kPrivateMode});
    }
    return write_files(files);
}

}  // namespace

Result<std::string> make_esp(const WorkFolder& work, const std::vector<EspFile>& files) {
    std::string esp = work.at("esp.img");
    NETT_TRY(make_empty(esp, kEspBytes));
    NETT_TRY(tool(
        {"mkfs.vfat", "--invariant", "-F", "32", "-S", "512", "-s", "1", "-n", "NETT-BOOT", "-i", kVolumeSerial, esp}));
    std::vector<std::string> folders{"mmd", "-i", esp};
    for (const std::string& folder : folders_of(files)) folders.push_back("::/" + folder);
    NETT_TRY(tool(folders));
    const auto copies = put_copies(work, files);
    if (!copies) return fail(copies.error());
    for (const auto& [folder, paths] : *copies) {
        std::vector<std::string> words{"mcopy", "-i", esp};
        words.insert(words.end(), paths.begin(), paths.end());
        words.push_back("::/" + folder);
        NETT_TRY(tool(words));
    }
    return esp;
}

Result<void> make_usb_image(const std::string& esp, const std::string& output) {
    NETT_TRY(make_empty(output, kUsbBytes));
    const std::uint64_t first = kPartitionStart / kSector;
    const std::uint64_t last = first + kEspBytes / kSector - 1;
    NETT_TRY(tool({"sgdisk", "--clear", fmt::format("--disk-guid={}", kDiskGuid),
                   fmt::format("--new=1:{}:{}", first, last), "--typecode=1:EF00",
                   fmt::format("--partition-guid=1:{}", kPartitionGuid), "--change-name=1:NETT-BOOT", output}));
    return copy_into(esp, output, kPartitionStart);
}

Result<void> make_iso_image(const std::string& esp, const std::string& lkrn, const WorkFolder& work,
                            const std::string& output) {
    const std::string tree = work.at("iso-tree");
    NETT_TRY(make_directories(tree));
    NETT_TRY(make_empty(output, 0));
    std::vector<std::string> words{"xorriso",
                                   "-as",
                                   "mkisofs",
                                   "-quiet",
                                   "-V",
                                   "NETT_BOOT",
                                   "-o",
                                   output,
                                   "--set_all_file_dates",
                                   "2025010100000000",
                                   "-no-pad",
                                   "-append_partition",
                                   "2",
                                   kEspTypeGuid,
                                   esp,
                                   "-appended_part_as_gpt",
                                   "-partition_offset",
                                   "16"};
    const auto add = [&](std::initializer_list<const char*> more) {
        words.insert(words.end(), more.begin(), more.end());
    };
    if (!lkrn.empty()) {
        NETT_TRY(put_bios_files(tree, lkrn));
        add({"-isohybrid-mbr", kIsolinuxMbr, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot",
             "-boot-load-size", "4", "-boot-info-table", "-eltorito-alt-boot"});
    }
    add({"-e", "--interval:appended_partition_2:all::", "-no-emul-boot"});
    words.push_back(tree);
    return tool(words);
}

}  // namespace nett::builder
