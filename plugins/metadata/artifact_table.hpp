// Which files there are to serve, by every name they have: the artifact sets, compiled.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

// A file of a set by its name, else by one of the document's flat names: "vmlinuz" is the set's kernel, "initramfs.xz"
// its initramfs, whatever the set calls them. nullptr: the set has neither.
const ArtifactFile* find_file(const ArtifactSet& set, std::string_view name);

// Immutable, so safe to share.
class ArtifactTable {
public:
    explicit ArtifactTable(std::vector<ArtifactSet> sets);

    // nullptr: there is none.
    const ArtifactSet* find(std::string_view name) const;
    // The only set there is; nullptr when there are none or several.
    const ArtifactSet* only() const;
    // The file of the set of this version, architecture and schematic (empty: of none). Several sets may be of one
    // version (other command lines); that is no matter as long as their file is the same. kNotFound otherwise.
    Result<const ArtifactFile*> find(std::string_view version, std::string_view architecture,
                                     std::string_view schematic, std::string_view file) const;
    const std::map<std::string, ArtifactSet, std::less<>>& sets() const { return sets_; }
    // Every file once, by digest.
    const std::map<std::string, ArtifactFile>& files() const { return files_; }

private:
    std::map<std::string, ArtifactSet, std::less<>> sets_;
    std::map<std::string, std::vector<const ArtifactSet*>, std::less<>> by_origin_;
    std::map<std::string, ArtifactFile> files_;
};

}  // namespace nett::metadata
