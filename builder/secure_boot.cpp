#include "builder/secure_boot.hpp"

#include "agent/sdk/strings.hpp"
#include "builder/process.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxSignedBytes = 16 << 20;

}  // namespace

Result<std::string> sign_efi(const WorkFolder& work, const std::string& efi, const SigningKey& key) {
    for (const std::string& path : {key.key_file, key.certificate_file}) {
        if (auto readable = read_file(path, kMaxSignedBytes); !readable) return fail(std::move(readable.error()));
    }
    const std::string plain = work.at("unsigned.efi");
    const std::string made = work.at("signed.efi");
    NETT_TRY(write_files({{plain, efi, kPrivateMode}}));
    auto done = run_tool({"sbsign", "--key", key.key_file, "--cert", key.certificate_file, "--output", made, plain},
                         {"LC_ALL=C"});
    if (!done) return fail(std::move(done.error()).in(key.key_file));
    return read_file(made, kMaxSignedBytes);
}

}  // namespace nett::builder
