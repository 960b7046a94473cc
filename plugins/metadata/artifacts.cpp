#include "plugins/metadata/artifacts.hpp"

#include <algorithm>

namespace nett::metadata {

namespace {

// The digest becomes a path.
bool is_digest(const std::string& text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<ArtifactSet> Artifacts::set(const std::string& name) const {
    auto record = store_.get(kArtifactSetKind, name);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return fail(Code::kNotFound, "no artifact set \"{}\"; see \"show artifacts\"", name);
    auto set = decode<ArtifactSet>((*record)->value);
    if (!set) return fail(std::move(set.error()).in("artifact set " + name));
    return set;
}

Result<std::string> Artifacts::only_set() const {
    auto records = store_.list(kArtifactSetKind, "", 2);
    if (!records) return fail(std::move(records.error()));
    if (records->size() != 1)
        return fail(Code::kNotFound, "a flat artifact name, and {} artifact sets", records->size());
    return records->front().key;
}

Result<std::shared_ptr<const OpenFile>> Artifacts::open_file(const ArtifactFile& file) const {
    if (!is_digest(file.sha256)) return fail(Code::kDataLoss, "the record of \"{}\" has no digest", file.name);
    auto opened = OpenFile::open(directory_ + "/sha256/" + file.sha256, file.size);
    // It is in the record: that it is absent is a loss, not a client's mistake.
    if (!opened && opened.error().code == Code::kNotFound) opened.error().code = Code::kDataLoss;
    return opened;
}

Result<std::shared_ptr<const OpenFile>> Artifacts::open(const ArtifactSet& set, const std::string& name,
                                                        const ArtifactFile** description) const {
    for (const auto& file : set.files) {
        if (file.name != name) continue;
        *description = &file;
        return open_file(file);
    }
    return fail(Code::kNotFound, "artifact set \"{}\" has no file \"{}\"", set.name, name);
}

Result<void> Artifacts::check_bootable(const ArtifactSet& set) const {
    for (const auto& name : {set.kernel, set.initramfs}) {
        const ArtifactFile* description = nullptr;
        NETT_TRY(open(set, name, &description));
    }
    return {};
}

Result<std::vector<std::string>> Artifacts::missing() const {
    auto records = store_.list(kArtifactSetKind);
    if (!records) return fail(std::move(records.error()));
    std::vector<std::string> out;
    for (const auto& record : *records) {
        auto set = decode<ArtifactSet>(record.value);
        if (!set) return fail(std::move(set.error()).in("artifact set " + record.key));
        for (const auto& file : set->files) {
            auto opened = open_file(file);
            if (!opened) out.push_back(fmt::format("{}/{}: {}", set->name, file.name, opened.error().message));
        }
    }
    return out;
}

}  // namespace nett::metadata
