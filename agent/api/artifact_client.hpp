// Another server's Artifacts.Download, over TCP with mutual TLS.
#pragma once

#include <functional>
#include <memory>

#include "agent/api/certificates.hpp"
#include "agent/core/inventory/artifact_transfer.hpp"

namespace nett {

// Each download connects with the files that `certificates` names then. Bytes are taken on threads of its own.
std::unique_ptr<ArtifactDownloader> make_artifact_downloader(asio::any_io_executor loop,
                                                             std::function<ApiCertificates()> certificates);

}  // namespace nett
