// Service: /v1/config, with the client's certificate or with a token.
#include <algorithm>
#include <utility>

#include "agent/sdk/records.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/boot_script.hpp"
#include "plugins/metadata/ranges.hpp"
#include "plugins/metadata/service.hpp"

namespace nett::metadata {

namespace {

Response not_found(Outcome outcome) {
    return plain(404, outcome, "not found");
}

// What a delivery hands out to the client's certificate; tokens have a listener of their own.
bool hands_out(ConfigDelivery delivery, ConfigPart part) {
    if (delivery == ConfigDelivery::kEmbedded) return true;
    return delivery == ConfigDelivery::kUrl && part == ConfigPart::kYaml;
}

bool names(const AskedId& asked, const Machine& machine) {
    if (asked.id.uuid && !machine.uuid.empty()) {
        return *asked.id.uuid == machine.uuid || swapped_uuid(*asked.id.uuid) == machine.uuid;
    }
    if (asked.id.mac) {
        return std::find(machine.macs.begin(), machine.macs.end(), *asked.id.mac) != machine.macs.end();
    }
    return !asked.serial.empty() && asked.serial == machine.serial;
}

}  // namespace

Response Service::config(const ConfigRoute& route, const Request& request, const Peer& peer, const std::string& tenant,
                         const std::string& boot_id) {
    auto found = find_machine(host_.store, tenant, route.asked);
    if (!found) return failure(found.error(), "looking up a machine", Outcome::kError);
    if (!*found) return not_found(Outcome::kUnknownMachine);
    const auto& machine = (*found)->machine;
    auto profile = effective_profile(host_.store, machine);
    if (!profile) return failure(profile.error(), "reading the profile of " + machine.name, Outcome::kRefused);
    const auto delivery = delivery_of(machine, *profile, peer);
    if (!serves_config(machine) || !is_expected(machine, peer.source) || !hands_out(delivery, route.part) ||
        machine.config_sha256.empty()) {
        return not_found(Outcome::kRefused);
    }
    auto response = config_part(**found, *profile, route.part);
    if (!response) return failure(response.error(), "handing over the config of " + machine.name, Outcome::kError);
    auto answer = conditional(std::move(*response), request);
    const bool handed = request.method == Method::kGet && answer.status == 200 && route.part != ConfigPart::kExtensions;
    if (handed) report_config(machine, delivery, peer, boot_id);
    return answer;
}

Result<Response> Service::config_part(const FoundMachine& found, const Profile& profile, ConfigPart part) {
    const auto& machine = found.machine;
    const auto settings = settings_.load();
    Response response;
    response.outcome = Outcome::kConfig;
    response.no_store = true;
    response.content_type = "application/yaml";
    if (part == ConfigPart::kExtensions) {
        auto name = set_name_for(machine, profile, boot_decision(machine), *settings);
        if (!name) return fail(std::move(name.error()));
        auto set = artifacts_.set(*name);
        if (!set) return fail(std::move(set.error()));
        auto text = render_extensions(**set, machine.config_sha256);
        if (!text) return fail(std::move(text.error()));
        response.body = std::move(*text);
        response.etag = sha256_hex(response.body);
        return response;
    }
    auto config = config_text(found.key, machine);
    if (!config) return fail(std::move(config.error()));
    if (part == ConfigPart::kYaml) {
        response.body = std::move(*config);
        response.etag = machine.config_sha256;
        return response;
    }
    auto image = images_.get(machine.config_sha256, *config, settings->compression);
    if (!image) return fail(std::move(image.error()));
    response.content_type = "application/octet-stream";
    response.body = (*image)->bytes;
    response.etag = (*image)->sha256;
    return response;
}

Result<std::string> Service::config_text(const std::string& key, const Machine& machine) const {
    const auto record = read_record<MachineConfig>(host_.store, kMachineConfigKind, key);
    if (!record) return fail(Error(record.error()));
    if (!*record) return fail(Code::kDataLoss, "its config is not stored; register it again");
    auto config = host_.secrets.open((*record)->value.sealed, machine_config_context(machine.name));
    if (!config) return fail(std::move(config.error()));
    if (sha256_hex(*config) != machine.config_sha256) {
        return fail(Code::kDataLoss, "the stored config does not have its digest; register it again");
    }
    return config;
}

void Service::report_config(const Machine& machine, ConfigDelivery delivery, const Peer& peer,
                            const std::string& boot_id) {
    log_.info("config handed over", {{"machine", machine.name},
                                     {"delivery", to_string(delivery)},
                                     {"source", peer.source.to_string()},
                                     {"boot_id", boot_id}});
    host_.events.publish({"machine.config",
                          machine.name,
                          "config handed over",
                          {{"machine", machine.name},
                           {"tenant", machine.tenant},
                           {"delivery", std::string(to_string(delivery))},
                           {"source", peer.source.to_string()},
                           {"sha256", machine.config_sha256},
                           {"boot_id", boot_id}}});
}

// There is nothing here but tokens' configs, and one answer to everything else.
Awaitable<Response> Service::handle_token(Request request, const Peer& peer) {
    if (request.method == Method::kOther) co_return plain(405, Outcome::kBadRequest, "only GET and HEAD");
    auto route = parse_target(request.target);
    auto* asked = route ? std::get_if<ConfigRoute>(&*route) : nullptr;
    if (asked == nullptr || asked->part != ConfigPart::kYaml || asked->token.empty())
        co_return not_found(Outcome::kNotFound);
    ConfigRoute config_route = std::move(*asked);
    auto redeemed = co_await redeem(std::move(config_route), request.method, peer);
    if (!redeemed) co_return failure(redeemed.error(), "redeeming a boot token", Outcome::kRefused);
    if (!*redeemed) {
        if (const auto held = refusal_log_.admit(host_.clock.steady_now())) {
            log_.warning("refused a boot token", {{"source", peer.source.to_string()}, {"suppressed", *held}});
        }
        co_return not_found(Outcome::kRefused);
    }
    const auto& [machine, boot_id] = **redeemed;
    auto config = config_text(machine.name, machine);
    if (!config) co_return failure(config.error(), "handing over the config of " + machine.name, Outcome::kError);
    if (request.method == Method::kGet) report_config(machine, ConfigDelivery::kToken, peer, boot_id);
    Response response;
    response.outcome = Outcome::kConfig;
    response.no_store = true;
    response.content_type = "application/yaml";
    response.body = std::move(*config);
    response.boot_id = boot_id;
    co_return response;
}

Awaitable<Result<std::optional<Service::Redeemed>>> Service::redeem(ConfigRoute route, Method method,
                                                                    const Peer& peer) {
    const std::string source = peer.source.to_string();
    const std::string key = sha256_hex(route.token);
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto token = read_record<BootToken>(host_.store, kBootTokenKind, key);
        if (!token) co_return fail(std::move(token.error()));
        const auto now = host_.clock.system_now();
        if (!*token || now >= (*token)->value.expires) co_return std::nullopt;
        BootToken& known = (*token)->value;
        auto machine = read_record<Machine>(host_.store, kMachineKind, known.machine);
        if (!machine) co_return fail(std::move(machine.error()));
        if (!*machine) co_return std::nullopt;
        Machine& of = (*machine)->value;
        auto profile = effective_profile(host_.store, of);
        if (!profile) co_return fail(std::move(profile.error()));
        const bool due = serves_config(of) && delivery_of(of, *profile, peer) == ConfigDelivery::kToken &&
                         of.config_sha256 == known.config_sha256 && is_expected(of, peer.source);
        const bool used = known.used != SystemTime{};
        const bool retried = used && known.used_source == source && now - known.used <= kBootTokenRetry;
        if (!due || !names(route.asked, of) || (used && !retried)) co_return std::nullopt;
        Redeemed redeemed{std::move(of), known.boot_id};
        if (used || method != Method::kGet) co_return std::move(redeemed);
        // Used up before it is answered: of two who ask at once, one gets it.
        known.used = now;
        known.used_source = source;
        Transaction transaction;
        transaction.compares.push_back(unchanged(kBootTokenKind, key, (*token)->revision));
        transaction.puts.push_back(put_of(known));
        transaction.actor = kActor;
        transaction.reason = "config fetched by token";
        auto committed = co_await host_.store.commit(std::move(transaction));
        if (committed) co_return std::move(redeemed);
        if (committed.error().code != Code::kAborted) co_return fail(std::move(committed.error()));
    }
    co_return fail(Code::kUnavailable, "the token is being used by others all the time");
}

}  // namespace nett::metadata
