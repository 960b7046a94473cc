// Request targets and machine ids: whatever a peer puts into a URL.
#include <cstdlib>

#include "agent/sdk/identity.cpp"
#include "agent/sdk/result.cpp"
#include "agent/sdk/strings.cpp"
#include "plugins/metadata/route.cpp"

namespace {

// What later becomes a path, a key or a line of a script must be plain.
void check(bool holds) {
    if (!holds) std::abort();
}

void check_id(const nett::MachineId& id) {
    if (id.uuid) check(id.uuid->size() == 36);
    if (id.mac) check(id.mac->size() == 17);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto id = nett::parse_machine_id(text)) check_id(*id);
    const auto route = nett::metadata::parse_target(text);
    if (!route) return 0;
    if (const auto* artifact = std::get_if<nett::metadata::ArtifactRoute>(&*route)) {
        check(artifact->set.find('/') == std::string::npos && !artifact->set.starts_with('.'));
        check(artifact->file.find('/') == std::string::npos && !artifact->file.starts_with('.'));
    }
    return 0;
}
