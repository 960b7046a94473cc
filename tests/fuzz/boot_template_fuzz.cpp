// A profile's template and a value that a machine's record brings: no value may add a line to a script.
#include <algorithm>
#include <cstdlib>

#include "agent/sdk/boot_template.cpp"
#include "agent/sdk/result.cpp"
#include "agent/sdk/strings.cpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto cut = std::min(input.find('\0'), input.size());
    const std::string_view text = input.substr(0, cut);
    const std::string_view value = cut < input.size() ? input.substr(cut + 1) : std::string_view();
    for (const auto* kind : {"install", "wipe", "rescue", "erase"}) (void)nett::check_boot_template(kind, text);
    nett::BootTemplateValues values;
    values.texts["machine"] = std::string(value);
    values.texts["arguments"] = std::string(value);
    const auto script = nett::render_boot_template(text, values);
    if (!script) return 0;
    const auto lines = [](std::string_view of) { return std::count(of.begin(), of.end(), '\n'); };
    if (lines(*script) > lines(text)) std::abort();
    if (script->size() > 64 * (text.size() + 1) * (value.size() + 1)) std::abort();
    return 0;
}
