// NetBox's answers, its records in the state file, and what an operator writes of it.
#include <cstdlib>

#include <boost/json/src.hpp>

#include "agent/sdk/address.cpp"
#include "agent/sdk/https_url.cpp"
#include "agent/sdk/result.cpp"
#include "agent/sdk/strings.cpp"
#include "plugins/metadata/netbox.cpp"

namespace nett {

// Of model.cpp, which would bring all records with it.
std::string to_rfc3339(SystemTime) {
    return "2026-11-21T11:05:00.000Z";
}
Result<SystemTime> parse_rfc3339(std::string_view) {
    return SystemTime{};
}

}  // namespace nett

namespace {

using namespace nett::metadata;

void check(bool holds) {
    if (!holds) std::abort();
}

void check_page(std::string_view text, NetboxObjects objects) {
    NetboxSettings settings;
    settings.objects = objects;
    settings.field = default_netbox_field(objects);
    const auto page = parse_netbox_page(text, settings);
    if (!page) return;
    check(page->entries.size() + page->skipped == page->results);
    const auto table = make_netbox_table(page->entries);
    check(table.entries.size() <= page->entries.size());
    for (const auto& [machine, entry] : table.entries) {
        // What is kept reads back as it was.
        const auto back = decode_netbox_prefix(put_of(NetboxPrefix{entry, {}, false}).value);
        check(back && back->entry == entry && machine == entry.machine);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_page(text, NetboxObjects::kAddresses);
    check_page(text, NetboxObjects::kPrefixes);
    if (const auto prefix = decode_netbox_prefix(text)) check(!prefix->entry.machine.empty());
    if (const auto origin = parse_netbox_origin(text)) {
        check(parse_netbox_origin("https://" + origin->authority())->authority() == origin->authority());
    }
    if (is_netbox_filter(text)) check(text.find_first_of(" \r\n#?") == std::string_view::npos);
    if (const auto field = netbox_authorization(text)) check(field->find_first_of("\r\n") == std::string::npos);
    return 0;
}
