#include "plugins/metadata/artifact_table.hpp"

#include <algorithm>
#include <utility>

namespace nett::metadata {

namespace {

// No part of it can contain a slash: they are segments of a path.
std::string origin_key(std::string_view version, std::string_view architecture, std::string_view schematic) {
    return fmt::format("{}/{}/{}", version, architecture, schematic);
}

const ArtifactFile* file_named(const ArtifactSet& set, std::string_view name) {
    const auto found =
        std::find_if(set.files.begin(), set.files.end(), [&](const auto& file) { return file.name == name; });
    return found == set.files.end() ? nullptr : &*found;
}

}  // namespace

const ArtifactFile* find_file(const ArtifactSet& set, std::string_view name) {
    if (const auto* file = file_named(set, name)) return file;
    if (name == "vmlinuz") return file_named(set, set.kernel);
    if (name == "initramfs.xz") return file_named(set, set.initramfs);
    return nullptr;
}

ArtifactTable::ArtifactTable(std::vector<ArtifactSet> sets) {
    for (auto& set : sets) {
        for (const auto& file : set.files) files_.emplace(file.sha256, file);
        std::string name = set.name;
        sets_.emplace(std::move(name), std::move(set));
    }
    for (const auto& [name, set] : sets_) {
        by_origin_[origin_key(set.version, set.architecture, set.schematic)].push_back(&set);
    }
}

const ArtifactSet* ArtifactTable::find(std::string_view name) const {
    const auto found = sets_.find(name);
    return found == sets_.end() ? nullptr : &found->second;
}

const ArtifactSet* ArtifactTable::only() const {
    return sets_.size() == 1 ? &sets_.begin()->second : nullptr;
}

Result<const ArtifactFile*> ArtifactTable::find(std::string_view version, std::string_view architecture,
                                                std::string_view schematic, std::string_view file) const {
    const auto found = by_origin_.find(origin_key(version, architecture, schematic));
    const ArtifactFile* out = nullptr;
    if (found != by_origin_.end()) {
        for (const auto* set : found->second) {
            const auto* one = find_file(*set, file);
            if (one == nullptr) continue;
            if (out != nullptr && out->sha256 != one->sha256) {
                return fail(Code::kNotFound, "several sets are {} {} {} and differ in \"{}\"; ask by the set's name",
                            version, architecture, schematic, file);
            }
            out = one;
        }
    }
    if (out != nullptr) return out;
    return fail(Code::kNotFound, "no set is {} {} {} with a file \"{}\"", version, architecture, schematic, file);
}

}  // namespace nett::metadata
