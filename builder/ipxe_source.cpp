#include "builder/ipxe_source.hpp"

#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"
#include "builder/process.hpp"

namespace nett::builder {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMaxProductBytes = 16 << 20;
constexpr const char* kPrivateFolder = ".nett";
constexpr mode_t kProgramMode = 0700;

// iPXE's Makefile before 2.0 reads the key by "openssl rsa", which knows no other family.
constexpr std::string_view kOpensslWrapper = R"(#!/bin/sh
[ "$1" != rsa ] || { shift; set -- pkey "$@"; }
exec openssl "$@"
)";

struct Target {
    std::string folder;  // of products, in src
    std::string file;
    std::string prefix;  // of the cross compiler's tools
};

bool is_native(Architecture architecture) {
    utsname host{};
    ::uname(&host);
    return std::string_view(host.machine) == (architecture == Architecture::kArm64 ? "aarch64"sv : "x86_64"sv);
}

Target efi_target(Architecture architecture) {
    if (architecture == Architecture::kArm64)
        return {"bin-arm64-efi", "ipxe.efi", is_native(architecture) ? "" : "aarch64-linux-gnu-"};
    return {"bin-x86_64-efi", "ipxe.efi", is_native(architecture) ? "" : "x86_64-linux-gnu-"};
}

// Files of earlier and of this build that hold the key: the key, its object, the library and the products.
void remove_secrets(const std::string& folder) {
    std::error_code ignored;
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("ipxe.") || name.starts_with("privkey.") || name.starts_with(".private_key.") ||
            name.starts_with("embedded.") || name == "blib.a") {
            found.push_back(entry.path());
        }
    }
    for (const auto& path : found) std::filesystem::remove(path, ignored);
}

// The private folder in the tree, gone with everything in it when the build ends.
class Workshop {
public:
    explicit Workshop(std::string src) : src_(std::move(src)) {}
    Workshop(const Workshop&) = delete;
    Workshop& operator=(const Workshop&) = delete;
    ~Workshop() {
        std::error_code ignored;
        std::filesystem::remove_all(src_ + "/" + kPrivateFolder, ignored);
        for (const std::string& folder : used_) remove_secrets(src_ + "/" + folder);
    }

    Result<void> open() {
        std::error_code code;
        std::filesystem::remove_all(src_ + "/" + kPrivateFolder, code);
        if (::mkdir((src_ + "/" + kPrivateFolder).c_str(), kProgramMode) != 0) return fail(system_error(src_));
        return write_files({{src_ + "/" + wrapper(), std::string(kOpensslWrapper), kProgramMode}});
    }

    // Files are named by what is in them: make sees a change of name, but not every change of content.
    Result<std::string> put(std::string_view name, const std::string& bytes) {
        const std::string path =
            fmt::format("{}/{}-{}", kPrivateFolder, sha256_hex(bytes).substr(0, 16), std::string(name));
        NETT_TRY(write_files({{src_ + "/" + path, bytes, kPrivateMode}}));
        return path;
    }

    void uses(const std::string& folder) {
        used_.push_back(folder);
        remove_secrets(src_ + "/" + folder);
    }

    static std::string wrapper() { return std::string(kPrivateFolder) + "/openssl"; }

private:
    std::string src_;
    std::vector<std::string> used_;
};

struct Arguments {
    std::vector<std::string> words;
};

Result<Arguments> put_inputs(Workshop& workshop, const SourceInputs& inputs) {
    const auto script = workshop.put("boot.ipxe", inputs.script);
    if (!script) return fail(script.error());
    const auto root = workshop.put("root.pem", inputs.root);
    if (!root) return fail(root.error());
    const auto chain = workshop.put("tenant.pem", inputs.chain);
    if (!chain) return fail(chain.error());
    const auto key = workshop.put("tenant.key", inputs.key);
    if (!key) return fail(key.error());
    // CERT has the root too: TRUST keeps its fingerprint alone, and iPXE needs the certificate to end the chain.
    return Arguments{{"EMBED=" + *script, "TRUST=" + *root, "CERT=" + *chain + "," + *root, "PRIVKEY=" + *key,
                      "OPENSSL=" + Workshop::wrapper()}};
}

Result<std::string> run_make(const std::string& src, const Target& target, const Arguments& arguments) {
    const std::string product = target.folder + "/" + target.file;
    // The shell is for umask, which posix_spawn cannot set.
    std::vector<std::string> words{"sh", "-c", "umask 077; exec \"$@\"", "sh", "make", "-C", src};
    words.push_back(fmt::format("-j{}", std::max(1U, std::thread::hardware_concurrency())));
    words.push_back(product);
    words.insert(words.end(), arguments.words.begin(), arguments.words.end());
    if (!target.prefix.empty()) words.push_back("CROSS=" + target.prefix);
    // iPXE puts this time into its build's identity.
    auto made = run_tool(words, {"SOURCE_DATE_EPOCH=1735689600", "LC_ALL=C", "HOME=/nonexistent"});
    if (!made) return fail(std::move(made.error()).in(src));
    return read_file(src + "/" + product, kMaxProductBytes);
}

// An EFI application is not compressed, so what should be inside can be looked for.
Result<void> check_product(std::string_view efi, const SourceInputs& inputs) {
    if (efi.find("\0https\0"sv) == std::string_view::npos || efi.find("\0ipv6\0"sv) == std::string_view::npos) {
        return fail(Code::kFailedPrecondition,
                    "this iPXE has no HTTPS or no IPv6: put \"#define DOWNLOAD_PROTO_HTTPS\" and \"#define "
                    "NET_PROTO_IPV6\" into src/config/local/general.h");
    }
    if (efi.find(inputs.root_sha256) == std::string_view::npos) {
        return fail(Code::kFailedPrecondition,
                    "the iPXE that was built does not trust the root: its make knows no TRUST=");
    }
    return {};
}

}  // namespace

Result<SourceProducts> build_from_source(const SourceTree& tree, const SourceInputs& inputs) {
    const std::string src = tree.folder + "/src";
    if (!file_exists(src + "/Makefile.housekeeping")) {
        return fail(Error{Code::kNotFound, "is no iPXE source tree: it has no src/Makefile.housekeeping", tree.folder});
    }
    const Descriptor lock(src, O_RDONLY | O_DIRECTORY);
    if (lock.get() < 0 || ::flock(lock.get(), LOCK_EX) != 0) return fail(system_error(src));
    Workshop workshop(src);
    NETT_TRY(workshop.open());
    const auto arguments = put_inputs(workshop, inputs);
    if (!arguments) return fail(arguments.error());
    SourceProducts products;
    for (const Architecture architecture : tree.architectures) {
        const Target target = efi_target(architecture);
        workshop.uses(target.folder);
        auto efi = run_make(src, target, *arguments);
        if (!efi) return fail(std::move(efi.error()));
        if (auto good = check_product(*efi, inputs); !good) return fail(std::move(good.error()).in(tree.folder));
        products.efi.push_back(std::move(*efi));
    }
    if (tree.bios) {
        workshop.uses("bin");
        auto lkrn =
            run_make(src, {"bin", "ipxe.lkrn", is_native(Architecture::kAmd64) ? "" : "x86_64-linux-gnu-"}, *arguments);
        if (!lkrn) return fail(std::move(lkrn.error()));
        products.lkrn = std::move(*lkrn);
    }
    return products;
}

}  // namespace nett::builder
