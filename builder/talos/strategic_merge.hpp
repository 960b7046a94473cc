// Talos' strategic merge of machine configs (pkg/machinery/config/configpatcher, config/merge), on text: comments and
// documents that no patch touches stay as they are.
//
// Documents are matched by apiVersion, kind and name; one that is only in the patch is appended. Maps are merged key by
// key, scalars replaced, lists appended to, but for those that Talos replaces (podSubnets, serviceSubnets, ingress,
// ports, auditPolicy) or merges by a key of their items (interfaces, vlans, admissionControl, configFiles, rules).
// Null, empty text and 0 in a patch change nothing, false does. "$patch: delete" removes a key, an item of a list
// (found by its other key) or a document; it is done before the rest of its document.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett::builder {

// The config with the patch, both streams of documents. Errors name the document or the place, and the line in the
// patch.
Result<std::string> strategic_merge(std::string_view config, std::string_view patch);

}  // namespace nett::builder
