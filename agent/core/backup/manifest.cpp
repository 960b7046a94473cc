#include "agent/core/backup/manifest.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <boost/json.hpp>

namespace nett {

namespace {

namespace json = boost::json;

constexpr unsigned kModeBits = 07777;
constexpr std::size_t kDigestDigits = 64;

tl::unexpected<Error> broken(std::string_view what) {
    return fail(Code::kDataLoss, "the archive's manifest.json is not one of nett: {}; take another backup", what);
}

bool climbs(const std::filesystem::path& path) {
    return std::any_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
}

std::string text_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool is_digest(std::string_view text) {
    return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<BackupFile> parse_file(const json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) return broken("a file is no object");
    BackupFile file{text_of(*object, "name"), text_of(*object, "role"), text_of(*object, "path"),
                    text_of(*object, "sha256")};
    const std::filesystem::path name(file.name);
    const std::filesystem::path path(file.path);
    if (file.name.empty() || name.is_absolute() || climbs(name)) return broken("a file's name");
    if (!file.path.empty() && (!path.is_absolute() || climbs(path) || !path.has_filename()))
        return broken("the path of " + file.name);
    if (!is_digest(file.sha256)) return broken("the digest of " + file.name);
    const auto* size = object->if_contains("size");
    if (size == nullptr || !size->is_number()) return broken("the size of " + file.name);
    json::error_code error;
    file.size = size->to_number<std::uint64_t>(error);
    if (error) return broken("the size of " + file.name);
    char* end = nullptr;
    const auto mode = text_of(*object, "mode");
    const auto bits = std::strtoul(mode.c_str(), &end, 8);
    if (mode.empty() || *end != '\0' || bits > kModeBits) return broken("the mode of " + file.name);
    file.mode = static_cast<unsigned>(bits);
    return file;
}

}  // namespace

std::string to_json_text(const BackupManifest& manifest) {
    json::array files;
    for (const auto& file : manifest.files) {
        files.push_back(json::object{{"name", file.name},
                                     {"role", file.role},
                                     {"path", file.path},
                                     {"sha256", file.sha256},
                                     {"size", file.size},
                                     {"mode", fmt::format("{:04o}", file.mode)}});
    }
    const json::object object{{"format", kManifestFormat},
                              {"nett_version", manifest.nett_version},
                              {"created", manifest.created},
                              {"hostname", manifest.hostname},
                              {"files", std::move(files)}};
    return json::serialize(object) + "\n";
}

Result<BackupManifest> parse_manifest(std::string_view text) {
    json::error_code error;
    const auto value = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !value.is_object()) return broken("no JSON object");
    const auto& object = value.get_object();
    const auto* format = object.if_contains("format");
    if (format == nullptr || !format->is_int64()) return broken("no format");
    if (format->get_int64() > kManifestFormat) {
        return fail(Code::kFailedPrecondition,
                    "the archive has format {}, this program knows up to {}; use the nett-restore of nett {} or newer",
                    format->get_int64(), kManifestFormat, text_of(object, "nett_version"));
    }
    BackupManifest manifest{
        text_of(object, "nett_version"), text_of(object, "created"), text_of(object, "hostname"), {}};
    const auto* files = object.if_contains("files");
    if (files == nullptr || !files->is_array()) return broken("no files");
    std::set<std::string> names;
    std::set<std::string> paths;
    for (const auto& one : files->get_array()) {
        auto file = parse_file(one);
        if (!file) return fail(std::move(file.error()));
        if (!names.insert(file->name).second) return broken(file->name + " is there twice");
        if (!file->path.empty() && !paths.insert(file->path).second) return broken(file->path + " is there twice");
        manifest.files.push_back(std::move(*file));
    }
    return manifest;
}

}  // namespace nett
