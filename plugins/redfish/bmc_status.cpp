#include "plugins/redfish/bmc_status.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/redfish/json.hpp"

namespace nett::redfish {

std::string encode(const BmcStatus& status) {
    boost::json::object object;
    object["profile"] = status.profile;
    object["site"] = status.site;
    object["state"] = status.state;
    object["last_job"] = status.last_job;
    object["model"] = status.model;
    object["firmware"] = status.firmware;
    object["refused_login"] = status.refused_login;
    object["seen"] = to_rfc3339(status.seen);
    return boost::json::serialize(object);
}

BmcStatus read_bmc_status(const Store& store, const std::string& bmc) {
    BmcStatus status;
    const auto record = store.get(kBmcStatusKind, bmc);
    if (!record || !*record) return status;
    const auto object = parse_object((*record)->value);
    if (!object) return status;
    status.profile = text_at(*object, {"profile"});
    status.site = text_at(*object, {"site"});
    status.state = text_at(*object, {"state"});
    status.last_job = text_at(*object, {"last_job"});
    status.model = text_at(*object, {"model"});
    status.firmware = text_at(*object, {"firmware"});
    status.refused_login = text_at(*object, {"refused_login"});
    if (auto seen = parse_rfc3339(text_at(*object, {"seen"}))) status.seen = *seen;
    return status;
}

std::string login_digest(const Bmc& bmc) {
    return sha256_hex(bmc.endpoint + "\n" + bmc.username + "\n" + bmc.sealed_password);
}

}  // namespace nett::redfish
