// Codec of artifact sets.
#include "agent/sdk/model_codec.hpp"

namespace nett {

using namespace codec;

json::value to_json(const ArtifactSet& value) {
    auto out = start();
    out["name"] = value.name;
    // "version" is the record's; the set's own version has a name of its own.
    out["set_version"] = value.version;
    out["architecture"] = value.architecture;
    out["schematic"] = value.schematic;
    out["command_line"] = value.command_line;
    json::array files;
    for (const auto& file : value.files) {
        files.push_back({{"name", file.name}, {"sha256", file.sha256}, {"size", file.size}});
    }
    out["files"] = std::move(files);
    out["kernel"] = value.kernel;
    out["initramfs"] = value.initramfs;
    out["extension_layers"] = value.extension_layers;
    return out;
}

template <>
Result<ArtifactSet> decode<ArtifactSet>(std::string_view json_text) {
    return decode_with<ArtifactSet>(json_text, "artifact set", [](Reader& in, ArtifactSet& out) {
        in.text("name", out.name);
        in.text("set_version", out.version);
        in.text("architecture", out.architecture);
        in.text("schematic", out.schematic);
        in.text("command_line", out.command_line);
        in.each_object("files", [&](Reader& file) {
            ArtifactFile read;
            file.text("name", read.name);
            file.text("sha256", read.sha256);
            file.number("size", read.size);
            out.files.push_back(std::move(read));
        });
        in.text("kernel", out.kernel);
        in.text("initramfs", out.initramfs);
        in.text("extension_layers", out.extension_layers);
    });
}

Transaction::Put put_of(const ArtifactSet& value) {
    return plain_put(kArtifactSetKind, value.name, value);
}

}  // namespace nett
