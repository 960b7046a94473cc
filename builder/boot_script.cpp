#include "builder/boot_script.hpp"

#include <boost/algorithm/string/replace.hpp>

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"
#include "boot_template.hpp"

namespace nett::builder {

std::string url_authority(const boost::asio::ip::tcp::endpoint& server) {
    const std::string host = "[" + server.address().to_string() + "]";
    return server.port() == kHttpsPort ? host : host + ":" + std::to_string(server.port());
}

std::string render_autoexec(const BootScript& script) {
    std::string credentials;
    for (const std::string& certificate : script.certificates)
        credentials += "set cert:hexraw " + to_hex(certificate) + "\n";
    if (!script.private_key.empty()) credentials += "set privkey:hexraw " + to_hex(script.private_key);
    std::string text(kBootTemplate);
    boost::replace_all(text, "@CREDENTIALS@", credentials);
    boost::replace_all(text, "@SERVER@", url_authority(script.server));
    return text;
}

}  // namespace nett::builder
