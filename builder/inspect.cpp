#include "builder/inspect.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"
#include "builder/ipxe_binary.hpp"
#include "builder/openssl.hpp"
#include "builder/process.hpp"

namespace nett::builder {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMaxBinaryBytes = 16 << 20;
constexpr std::size_t kHeadBytes = 64 * 1024;  // holds a GPT and an ISO's volume descriptors
constexpr std::size_t kSector = 512;
constexpr std::size_t kMaxPartitions = 128;
constexpr std::string_view kEspType = "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b"sv;
constexpr std::size_t kMaxCertificateBytes = 8192;
// ISO 9660: the primary volume descriptor is sector 16 of 2048 bytes, the El Torito boot record sector 17.
constexpr std::size_t kIsoDescriptor = 16 * 2048 + 1;
constexpr std::size_t kElTorito = 17 * 2048;
constexpr std::size_t kIsoSector = 2048;

void free_buffer(unsigned char* buffer) {
    OPENSSL_free(buffer);
}

std::uint64_t little_endian(std::string_view bytes, std::size_t offset, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
    return value;
}

// One file's content by its name in EFI/BOOT, from wherever it is.
struct BootFile {
    std::string name;
    std::string bytes;
};

Result<std::vector<BootFile>> read_esp(const std::string& path, std::uint64_t offset) {
    const std::string image = fmt::format("{}@@{}", path, offset);
    const std::vector<std::string> environment{"MTOOLSRC=/dev/null", "LC_ALL=C", "TZ=UTC"};
    std::vector<BootFile> files;
    for (const char* name : {"BOOTX64.EFI", "BOOTAA64.EFI", "autoexec.ipxe"}) {
        // mtools writes to standard output: the key in autoexec.ipxe gets to no disk.
        auto bytes = tool_output({"mcopy", "-n", "-i", image, std::string("::/EFI/BOOT/") + name, "-"}, environment);
        if (bytes)
            files.push_back({name, std::move(*bytes)});
        else if (bytes.error().code == Code::kFailedPrecondition)
            return fail(std::move(bytes.error()));
    }
    return files;
}

Result<std::vector<BootFile>> read_folder(const std::filesystem::path& folder) {
    std::vector<BootFile> files;
    for (const char* name : {"BOOTX64.EFI", "BOOTAA64.EFI", "autoexec.ipxe"}) {
        auto bytes = read_file(folder / name, kMaxBinaryBytes);
        if (bytes)
            files.push_back({name, std::move(*bytes)});
        else if (bytes.error().code != Code::kNotFound)
            return fail(std::move(bytes.error()));
    }
    return files;
}

// Empty when it is not hex.
std::string from_hex(const std::string& text) {
    long size = 0;
    const std::unique_ptr<unsigned char, FreeWith<free_buffer>> bytes(OPENSSL_hexstr2buf(text.c_str(), &size));
    ERR_clear_error();
    return bytes ? std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<std::size_t>(size)) : "";
}

// "set cert:hexraw 3082..." of a boot script, decoded.
std::string certificates_of_script(std::string_view script) {
    constexpr std::string_view kCommand = "set cert:hexraw ";
    std::string result;
    for (const std::string_view line : split(script, '\n')) {
        if (!line.starts_with(kCommand)) continue;
        result += from_hex(std::string(line.substr(kCommand.size())));
    }
    return result;
}

std::string server_of(std::string_view bytes) {
    constexpr std::string_view kBefore = "https://";
    constexpr std::string_view kAfter = "/v1/boot/";
    for (std::size_t at = bytes.find(kBefore); at != std::string_view::npos; at = bytes.find(kBefore, at + 1)) {
        const std::size_t start = at + kBefore.size();
        const std::size_t end = bytes.find('/', start);
        if (end != std::string_view::npos && bytes.substr(end, kAfter.size()) == kAfter && bytes[start] == '[')
            return std::string(bytes.substr(start, end - start));
    }
    return {};
}

// PE32+: the certificate table is the fifth data directory; a signed application has one.
bool is_signed(std::string_view efi) {
    const std::size_t directory = little_endian(efi, 0x3c, 4) + 24 + 112 + 4 * 8;
    return directory + 8 <= efi.size() && little_endian(efi, directory + 4, 4) != 0;
}

// The tenant's is the client certificate that chains to the root: a signature for Secure Boot holds others.
Result<void> take_certificates(const std::string& efi, const std::vector<Certificate>& certificates,
                               ImageFacts& facts) {
    const auto trusted = [&](const Certificate& one) {
        return one.is_authority && efi.find(one.sha256()) != std::string::npos;
    };
    const auto root = std::find_if(certificates.begin(), certificates.end(), trusted);
    if (root == certificates.end()) {
        const bool original = efi.find(builtin_trust_anchor()) != std::string::npos;
        return fail(Code::kInvalidArgument, "{}",
                    original ? "iPXE trusts its own root: this is iPXE as distributed, not an image of a tenant"
                             : "iPXE trusts none of the roots that are in the image");
    }
    facts.trust_anchor = to_hex(root->sha256());
    facts.trust_anchor_subject = root->subject;
    facts.trust_anchor_expires = root->not_after;
    for (const Certificate& one : certificates) {
        if (one.is_authority || !one.for_client) continue;
        std::vector<Certificate> chain{one};
        std::copy_if(certificates.begin(), certificates.end(), std::back_inserter(chain),
                     [](const Certificate& other) { return other.is_authority; });
        if (!verify_chain(chain, *root)) continue;
        facts.tenant = one;
        return {};
    }
    return fail(Code::kInvalidArgument, "holds no tenant's client certificate that chains to {}", root->subject);
}

Result<ImageFacts> facts_of(const std::vector<BootFile>& files, ImageFacts facts) {
    std::string searched;  // all where certificates and the script may be
    const std::string* first = nullptr;
    for (const BootFile& file : files) {
        if (file.name == "autoexec.ipxe") {
            searched += certificates_of_script(file.bytes) + file.bytes;
            continue;
        }
        const auto binary = inspect_ipxe(file.bytes);
        if (!binary) return fail(Error(binary.error()).in(file.name));
        facts.binaries.push_back({file.name, binary->version, is_signed(file.bytes)});
        if (first == nullptr) first = &file.bytes;
        searched += file.bytes;
    }
    if (first == nullptr) return fail(Code::kInvalidArgument, "holds no EFI/BOOT/BOOTX64.EFI or BOOTAA64.EFI");
    NETT_TRY(take_certificates(*first, find_certificates(searched), facts));
    facts.server = server_of(searched);
    return facts;
}

Result<ImageFacts> inspect_folder(const std::filesystem::path& folder) {
    const auto files = read_folder(folder);
    if (!files) return fail(files.error());
    ImageFacts facts;
    facts.medium = "efi";
    return facts_of(*files, std::move(facts));
}

// A single EFI binary; its script may be beside it.
Result<ImageFacts> inspect_binary(const std::filesystem::path& path, std::string bytes) {
    std::vector<BootFile> files{{path.filename(), std::move(bytes)}};
    auto script = read_file(path.parent_path() / "autoexec.ipxe", kMaxBinaryBytes);
    if (script) files.push_back({"autoexec.ipxe", std::move(*script)});
    ImageFacts facts;
    facts.medium = "efi";
    return facts_of(files, std::move(facts));
}

// Up to `size` bytes from `offset` on.
Result<std::string> read_part(const std::string& path, std::uint64_t offset, std::size_t size) {
    const Descriptor file(path, O_RDONLY);
    if (file.get() < 0) return fail(system_error(path));
    std::string bytes(size, '\0');
    const ssize_t got = ::pread(file.get(), bytes.data(), size, static_cast<off_t>(offset));
    if (got < 0) return fail(system_error(path));
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
}

// Whether BIOS boots the ISO: El Torito's catalog then begins with an entry for the platform 0, 80x86 (El Torito 1.0
// figure 2).
bool boots_by_bios(const std::string& path, std::string_view head) {
    if (head.size() < kElTorito + kIsoSector || head.substr(kElTorito + 7, 9) != "EL TORITO") return false;
    const auto catalog = read_part(path, little_endian(head, kElTorito + 0x47, 4) * kIsoSector, 2);
    return catalog && *catalog == "\x01\x00"sv;
}

Result<ImageFacts> inspect_disk(const std::string& path, std::string_view head) {
    const auto offset = find_esp(head);
    if (!offset) return fail(offset.error());
    ImageFacts facts;
    const bool iso = head.size() > kIsoDescriptor + 5 && head.substr(kIsoDescriptor, 5) == "CD001";
    facts.medium = iso ? "iso" : "usb";
    facts.bios = iso && boots_by_bios(path, head);
    const auto files = read_esp(path, *offset);
    if (!files) return fail(files.error());
    return facts_of(*files, std::move(facts));
}

Result<ImageFacts> inspect(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return inspect_folder(path);
    const auto head = read_part(path, 0, kHeadBytes);
    if (!head) return fail(head.error());
    if (!head->starts_with("MZ") || head->substr(kSector, 8) == "EFI PART") return inspect_disk(path, *head);
    auto bytes = read_file(path, kMaxBinaryBytes);
    if (!bytes) return fail(std::move(bytes.error()));
    return inspect_binary(path, std::move(*bytes));
}

}  // namespace

Result<std::uint64_t> find_esp(std::string_view head) {
    const auto refuse = [] {
        return fail(Code::kInvalidArgument,
                    "is no boot medium: neither a disk image with a GPT and an EFI system partition nor an EFI binary");
    };
    if (head.size() < 2 * kSector || head.substr(kSector, 8) != "EFI PART") return refuse();
    const std::uint64_t table = little_endian(head, kSector + 72, 8) * kSector;
    const std::uint64_t count = std::min<std::uint64_t>(little_endian(head, kSector + 80, 4), kMaxPartitions);
    const std::uint64_t size = little_endian(head, kSector + 84, 4);
    for (std::uint64_t i = 0; i < count && size >= 128 && size <= kSector; ++i) {
        const std::uint64_t entry = table + i * size;
        if (entry > head.size() || head.size() - entry < size) break;
        if (head.substr(entry, kEspType.size()) != kEspType) continue;
        const std::uint64_t start = little_endian(head, entry + 32, 8) * kSector;
        if (start > 0) return start;
    }
    return refuse();
}

std::vector<Certificate> find_certificates(std::string_view bytes) {
    std::vector<Certificate> result;
    std::set<std::string> seen;
    // A certificate is a SEQUENCE of more than 255 bytes that starts with one: 30 82 LL LL 30 8x.
    for (std::size_t at = bytes.find("\x30\x82"sv); at != std::string_view::npos;
         at = bytes.find("\x30\x82"sv, at + 1)) {
        if (bytes.size() - at < 6 || bytes[at + 4] != '\x30') continue;
        const std::size_t size =
            4 + (static_cast<unsigned char>(bytes[at + 2]) << 8) + static_cast<unsigned char>(bytes[at + 3]);
        if (size > kMaxCertificateBytes || size > bytes.size() - at) continue;
        auto certificate = parse_der_certificate(bytes.substr(at, size));
        if (!certificate) continue;
        if (seen.insert(certificate->der).second) result.push_back(std::move(*certificate));
        at += size - 1;
    }
    return result;
}

Result<ImageFacts> inspect_image(const std::string& path) {
    auto facts = inspect(path);
    if (!facts && facts.error().context.empty()) return fail(std::move(facts.error()).in(path));
    return facts;
}

}  // namespace nett::builder
