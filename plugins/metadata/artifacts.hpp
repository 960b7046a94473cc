// The files of artifact sets, as this host has them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// Thread-safe: reads the store and the directory only.
class Artifacts {
public:
    Artifacts(const Store& store, std::string directory) : store_(store), directory_(std::move(directory)) {}

    // kNotFound without such a set.
    Result<ArtifactSet> set(const std::string& name) const;
    // The name of the only set there is; kNotFound when there are none or several.
    Result<std::string> only_set() const;
    // kNotFound when the set has no such file; kDataLoss when it should be here and is not, or not with its size.
    Result<std::shared_ptr<const OpenFile>> open(const ArtifactSet& set, const std::string& name,
                                                 const ArtifactFile** description) const;
    // That kernel and initramfs can be opened.
    Result<void> check_bootable(const ArtifactSet& set) const;
    // What is missing or damaged of all sets, for the health registry: "set/file: reason". An error when the store
    // fails.
    Result<std::vector<std::string>> missing() const;

private:
    Result<std::shared_ptr<const OpenFile>> open_file(const ArtifactFile& file) const;

    const Store& store_;
    const std::string directory_;
};

}  // namespace nett::metadata
