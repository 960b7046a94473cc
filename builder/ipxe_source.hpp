// A tenant's iPXE built from a source tree that the operator has, by iPXE's own make: script, certificates and key are
// inside, for UEFI and for BIOS. https://ipxe.org/crypto says what EMBED, TRUST, CERT and PRIVKEY are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett::builder {

enum class Architecture { kAmd64, kArm64 };

struct SourceTree {
    std::string folder;  // holds src/Makefile
    std::vector<Architecture> architectures{Architecture::kAmd64};
    bool bios = false;  // also bin/ipxe.lkrn, which makes the ISO a hybrid
};

// What goes in; PEM.
struct SourceInputs {
    std::string script;
    std::string chain;  // the tenant's certificate first
    std::string root;
    std::string root_sha256;  // of its DER, raw
    std::string key;
};

struct SourceProducts {
    std::vector<std::string> efi;  // one for each architecture, in their order
    std::string lkrn;              // empty: not wanted
};

// Runs make in the tree, one at a time. What is built with the key is readable by its owner alone and removed from the
// tree afterwards; the rest stays, so that the next tenant's takes seconds. The same tree at the same place gives the
// same bytes. kNotFound: no iPXE tree; kInternal with the end of make's output: it does not build; kFailedPrecondition:
// it builds an iPXE without HTTPS or IPv6, or that does not trust the root.
Result<SourceProducts> build_from_source(const SourceTree& tree, const SourceInputs& inputs);

}  // namespace nett::builder
