// A BMC in memory: answers requests as values, with the misbehaviour that a test asks for.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include "plugins/redfish/http.hpp"

namespace nett::redfish {

class FakeBmc {
public:
    std::string power = "On";
    std::string image;
    bool inserted = false;
    std::string enabled = "Disabled";
    std::string target = "None";
    std::string mode = "Legacy";
    std::string system_etag = "W/\"1\"";
    bool checks_etag = false;
    bool media_under_manager = false;
    bool has_sessions = true;
    std::string vendor = "Acme";
    std::string manufacturer = "Acme";
    std::string manager_model;
    std::vector<std::string> targets{"None", "Pxe", "Cd"};
    std::vector<std::string> resets{"On", "ForceOff", "ForceRestart"};
    bool tells_last_reset = false;
    int restarts = 0;
    bool has_media = true;
    bool has_insert_action = true;
    std::string settings;  // path of the settings object; empty: none
    std::string http_uri;
    std::string uuid = "6E657474-0000-4000-8000-000000000001";
    std::string serial = "SN1";
    std::map<std::string, std::string> attributes;  // Dell's
    // Runs before the normal answer; an answer of its own replaces it.
    std::function<std::optional<Result<Response>>(const Request&)> fault;

    std::vector<Request> log;

    int count(std::string_view method, std::string_view part, std::string_view body = "") const {
        int n = 0;
        for (const Request& request : log) {
            n += to_string(request.method) == method && request.target.find(part) != std::string::npos &&
                 request.body.find(body) != std::string::npos;
        }
        return n;
    }
    int power_ons() const { return count("POST", "ComputerSystem.Reset", "\"On\""); }

    Result<Response> answer(const Request& request) {
        log.push_back(request);
        if (fault) {
            if (auto other = fault(request)) return *other;
        }
        return serve(request);
    }

    Result<Response> serve(const Request& request) {
        switch (request.method) {
            case Method::kGet:
                return get(request.target);
            case Method::kPost:
                return post(request.target, body_of(request));
            case Method::kPatch:
                return patch(request, body_of(request));
            case Method::kDelete:
                return status(204);
        }
        return status(405);
    }

    static Response status(unsigned code, std::string body = "") {
        Response response;
        response.status = code;
        response.body = std::move(body);
        return response;
    }
    static Response refusal(unsigned code, const std::string& message_id) {
        return status(
            code,
            R"({"error":{"code":"Base.1.18.GeneralError","message":"no","@Message.ExtendedInfo":[{"MessageId":"Base.1.18.)" +
                message_id + R"(","Message":"it will not do"}]}})");
    }

private:
    static boost::json::object body_of(const Request& request) {
        return request.body.empty() ? boost::json::object() : boost::json::parse(request.body).as_object();
    }

    static boost::json::object link(const std::string& uri) {
        boost::json::object out;
        out["@odata.id"] = uri;
        return out;
    }
    static Response json(const boost::json::object& object) { return status(200, boost::json::serialize(object)); }

    Result<Response> get(const std::string& uri) {
        if (uri == "/redfish/v1/") {
            boost::json::object root;
            root["Vendor"] = vendor;
            root["Systems"] = link("/redfish/v1/Systems");
            root["Managers"] = link("/redfish/v1/Managers");
            return json(root);
        }
        if (uri == "/redfish/v1/Systems") return status(200, R"({"Members":[{"@odata.id":"/redfish/v1/Systems/1"}]})");
        if (uri == "/redfish/v1/Managers")
            return status(200, R"({"Members":[{"@odata.id":"/redfish/v1/Managers/1"}]})");
        if (uri == "/redfish/v1/Managers/1") return json(manager());
        if (uri == "/redfish/v1/Managers/1/Attributes" && !attributes.empty()) return json(dell_attributes());
        if (uri == "/eth") return status(200, R"({"Members":[{"@odata.id":"/eth/1"},{"@odata.id":"/eth/2"}]})");
        if (uri == "/eth/1") return status(200, R"({"MACAddress":"52-54-00-00-00-01"})");
        if (uri == "/eth/2")
            return status(200, R"({"MACAddress":"52:54:00:00:00:ff","PermanentMACAddress":"52:54:00:00:00:02"})");
        if (!settings.empty() && uri == settings) return json(system());
        if (uri == "/vm") return status(200, R"({"Members":[{"@odata.id":"/vm/usb"},{"@odata.id":"/vm/cd"}]})");
        if (uri == "/vm/usb") return status(200, R"({"MediaTypes":["USBStick"]})");
        if (uri == "/vm/cd") return json(media());
        if (uri == "/redfish/v1/Systems/1") {
            Response response = json(system());
            response.etag = system_etag;
            return response;
        }
        return refusal(404, "ResourceMissingAtURI");
    }

    boost::json::object system() {
        boost::json::object boot;
        boot["BootSourceOverrideEnabled"] = enabled;
        boot["BootSourceOverrideTarget"] = target;
        if (!mode.empty()) boot["BootSourceOverrideMode"] = mode;
        boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = boost::json::value_from(targets);
        if (!http_uri.empty()) boot["HttpBootUri"] = http_uri;
        boost::json::object reset;
        reset["target"] = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";
        reset["ResetType@Redfish.AllowableValues"] = boost::json::value_from(resets);
        boost::json::object out;
        out["PowerState"] = power;
        out["Boot"] = boot;
        out["Actions"].emplace_object()["#ComputerSystem.Reset"] = reset;
        if (tells_last_reset) out["LastResetTime"] = "2026-01-01T00:00:" + std::to_string(10 + restarts) + "Z";
        out["Manufacturer"] = manufacturer;
        out["UUID"] = uuid;
        out["SerialNumber"] = serial;
        out["Model"] = "Model 1";
        out["EthernetInterfaces"] = link("/eth");
        out["Links"].emplace_object()["ManagedBy"].emplace_array().push_back(link("/redfish/v1/Managers/1"));
        if (!settings.empty()) out["@Redfish.Settings"].emplace_object()["SettingsObject"] = link(settings);
        if (!media_under_manager && has_media) out["VirtualMedia"] = link("/vm");
        return out;
    }

    boost::json::object manager() {
        boost::json::object out;
        out["Model"] = manager_model;
        out["FirmwareVersion"] = "1.2.3";
        if (has_media) out["VirtualMedia"] = link("/vm");
        return out;
    }

    boost::json::object dell_attributes() {
        boost::json::object out;
        auto& values = out["Attributes"].emplace_object();
        for (const auto& [name, value] : attributes) values[name] = value;
        return out;
    }

    boost::json::object media() {
        boost::json::object out;
        out["MediaTypes"] = {"CD", "DVD"};
        out["Inserted"] = inserted;
        out["Image"] = image.empty() ? boost::json::value() : boost::json::value(image);
        if (!has_insert_action) return out;
        auto& actions = out["Actions"].emplace_object();
        actions["#VirtualMedia.InsertMedia"].emplace_object()["target"] = "/vm/cd/Actions/VirtualMedia.InsertMedia";
        actions["#VirtualMedia.EjectMedia"].emplace_object()["target"] = "/vm/cd/Actions/VirtualMedia.EjectMedia";
        return out;
    }

    Result<Response> post(const std::string& uri, const boost::json::object& body) {
        if (uri == "/redfish/v1/SessionService/Sessions") {
            if (!has_sessions) return refusal(404, "ResourceMissingAtURI");
            Response response = status(201, "{}");
            response.token = "token-" + std::to_string(++sessions_);
            response.location = "/redfish/v1/SessionService/Sessions/" + std::to_string(sessions_);
            return response;
        }
        if (uri.ends_with("ComputerSystem.Reset")) {
            if (body.at("ResetType").as_string() == "ForceRestart") {
                ++restarts;
            } else {
                power = body.at("ResetType").as_string() == "On" ? "On" : "Off";
            }
        } else if (uri.ends_with("InsertMedia")) {
            image = body.at("Image").as_string().c_str();
            inserted = true;
        } else if (uri.ends_with("EjectMedia")) {
            image.clear();
            inserted = false;
        } else {
            return refusal(404, "ActionNotSupported");
        }
        return status(204);
    }

    Result<Response> patch(const Request& request, const boost::json::object& body) {
        if (checks_etag && request.if_match != system_etag) return refusal(412, "PreconditionFailed");
        if (request.target == "/vm/cd") {
            inserted = body.at("Inserted").as_bool();
            image = inserted ? body.at("Image").as_string().c_str() : "";
            return status(200, "{}");
        }
        if (const auto* values = body.if_contains("Attributes")) {
            for (const auto& [name, value] : values->as_object()) attributes[name] = value.as_string().c_str();
            return status(200, "{}");
        }
        const boost::json::object& boot = body.at("Boot").as_object();
        if (const auto* value = boot.if_contains("HttpBootUri")) http_uri = value->as_string().c_str();
        if (const auto* value = boot.if_contains("BootSourceOverrideEnabled")) enabled = value->as_string().c_str();
        if (const auto* value = boot.if_contains("BootSourceOverrideTarget")) target = value->as_string().c_str();
        if (const auto* value = boot.if_contains("BootSourceOverrideMode")) mode = value->as_string().c_str();
        return status(200, "{}");
    }

    int sessions_ = 0;
};

}  // namespace nett::redfish
