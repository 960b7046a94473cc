#include "plugins/metadata/netbox_service.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr const char* kActor = "plugin:metadata";
constexpr std::size_t kTurn = 64;  // machines looked at before others on the loop have their turn

// What an answer that is no page means, and what to do.
Error refusal_of(unsigned status) {
    constexpr unsigned kTooMany = 429;
    if (status == 401 || status == 403) {
        return {Code::kPermissionDenied,
                fmt::format("NetBox refuses the token (HTTP {}); check \"netbox token-file\" and "
                            "the token's right to view IPAM objects",
                            status),
                {}};
    }
    if (status == 400)
        return {Code::kInvalidArgument, "NetBox refuses the query (HTTP 400); check \"netbox filter\"", {}};
    if (status == 404) return {Code::kNotFound, "there is no NetBox API (HTTP 404); check \"netbox url\"", {}};
    if (status == kTooMany) return {Code::kResourceExhausted, "NetBox asks to be asked less often (HTTP 429)", {}};
    return {Code::kUnavailable, fmt::format("NetBox answers with HTTP {}", status), {}};
}

}  // namespace

NetboxService::NetboxService(Environment environment, std::unique_ptr<HttpsClient> client)
    : host_(std::move(environment)), client_(std::move(client)), tasks_(host_.loop, log_), tick_(host_.loop) {}

Result<void> NetboxService::start() {
    watch_ = host_.store.watch(std::string(kMachineKind), [this](const Change& change) {
        // Most changes are of machines that have nothing to do with NetBox; the text says so without decoding.
        if (!change.value || change.value->find("\"netbox\"") == std::string::npos || change.actor == kActor) return;
        waiting_.insert(change.key);
        wake();
    });
    stopping_ = false;
    tasks_.spawn(keep());
    return {};
}

void NetboxService::set_settings(std::optional<NetboxSettings> settings) {
    settings_ = std::move(settings);
    refresh_now_ = settings_.has_value();
    if (!settings_) {
        error_.clear();
        failures_ = 0;
    }
    wake();
}

void NetboxService::wake() {
    tick_.cancel();
}

Awaitable<void> NetboxService::stop() {
    if (stopping_) co_return;
    stopping_ = true;
    watch_.reset();
    client_->abort();
    wake();
    co_await tasks_.join();
}

Awaitable<void> NetboxService::keep() {
    co_await give_all();
    while (!stopping_) {
        if (settings_ && (refresh_now_ || host_.clock.steady_now() >= next_)) {
            refresh_now_ = false;
            auto done = co_await refresh();
            if (stopping_) break;
            // Once for each trouble, not for each try.
            if (!done && error_ != done.error().to_string())
                log_.warning("cannot read NetBox", {{"error", done.error()}});
            if (done && !error_.empty()) log_.info("NetBox is read again", {});
            error_ = done ? "" : done.error().to_string();
            failures_ = done ? 0 : failures_ + 1;
            const auto wait = done ? settings_->refresh : netbox_backoff(failures_, settings_->refresh, retry_after_);
            next_ = host_.clock.steady_now() + wait;
            continue;
        }
        while (!waiting_.empty() && !stopping_) {
            auto machine = waiting_.extract(waiting_.begin()).value();
            co_await give(std::move(machine));
        }
        if (stopping_ || refresh_now_) continue;
        if (settings_) {
            tick_.expires_after(next_ - host_.clock.steady_now());
        } else {
            tick_.expires_at(asio::steady_timer::time_point::max());
        }
        co_await tick_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

Awaitable<Result<void>> NetboxService::refresh() {
    last_attempt_ = host_.clock.system_now();
    retry_after_.reset();
    auto table = co_await read();
    if (!table) co_return fail(std::move(table.error()));
    auto recorded = co_await record(*table);
    if (!recorded) co_return fail(std::move(recorded.error()));
    problems_ = std::move(table->problems);
    last_success_ = host_.clock.system_now();
    co_await give_all();
    co_return Result<void>{};
}

Awaitable<Result<NetboxTable>> NetboxService::read() {
    const NetboxSettings settings = *settings_;
    auto token = read_file(settings.token_file, kNetboxMaxToken);
    if (!token) co_return fail(std::move(token.error()));
    auto authorization = netbox_authorization(*token);
    if (!authorization) co_return fail(std::move(authorization.error()).in(settings.token_file));
    std::vector<NetboxEntry> entries;
    std::size_t offset = 0;
    std::size_t skipped = 0;
    for (bool more = true; more;) {
        if (offset >= kNetboxMaxObjects) {
            co_return fail(Code::kResourceExhausted, "NetBox lists more than {} objects; narrow \"netbox filter\"",
                           kNetboxMaxObjects);
        }
        auto page = co_await read_page(settings, offset, *authorization);
        if (!page) co_return fail(std::move(page.error()));
        entries.insert(entries.end(), page->entries.begin(), page->entries.end());
        // By what came rather than by what was asked: NetBox has a page limit of its own. Its "next" is not followed,
        // for behind a proxy it may lead anywhere.
        offset += page->results;
        skipped += page->skipped;
        more = page->more;
    }
    skipped_ = skipped;
    co_return make_netbox_table(std::move(entries));
}

Awaitable<Result<NetboxPage>> NetboxService::read_page(const NetboxSettings& settings, std::size_t offset,
                                                       const std::string& authorization) {
    HttpsRequest request;
    request.url = settings.origin;
    request.url.target = netbox_target(settings, offset);
    request.ca_file = settings.ca_file;
    request.ca_setting = "netbox ca";
    request.headers = {{"Authorization", authorization}};
    request.timeout = kNetboxTimeout;
    request.max_answer = kNetboxMaxBody;
    auto answer = co_await client_->send(std::move(request));
    if (stopping_) co_return fail(Code::kUnavailable, "the agent stops");
    if (!answer) co_return fail(std::move(answer.error()));
    retry_after_ = answer->retry_after;
    constexpr unsigned kOk = 200;
    if (answer->status != kOk) co_return fail(refusal_of(answer->status));
    co_return parse_netbox_page(answer->body, settings);
}

// What is new, what has changed, and what NetBox does not list any more: that is kept, and marked, because a token that
// lost a right and an emptied NetBox look the same.
Awaitable<Result<void>> NetboxService::record(const NetboxTable& table) {
    const auto records = host_.store.list(kNetboxPrefixKind);
    if (!records) co_return fail(Error(records.error()));
    std::map<std::string, NetboxPrefix> known;
    for (const auto& one : *records) {
        if (auto prefix = decode_netbox_prefix(one.value)) known[one.key] = std::move(*prefix);
    }
    Transaction transaction;
    for (const auto& [machine, entry] : table.entries) {
        const auto found = known.find(machine);
        if (found != known.end() && found->second.entry == entry && !found->second.gone) continue;
        transaction.puts.push_back(put_of(NetboxPrefix{entry, host_.clock.system_now(), false}));
    }
    for (auto& [machine, prefix] : known) {
        if (prefix.gone || table.entries.contains(machine)) continue;
        prefix.gone = true;
        transaction.puts.push_back(put_of(prefix));
    }
    if (transaction.puts.empty()) co_return Result<void>{};
    transaction.actor = kActor;
    transaction.reason = "NetBox was read";
    auto written = co_await host_.store.commit(std::move(transaction));
    if (!written) co_return fail(std::move(written.error()));
    co_return Result<void>{};
}

Awaitable<void> NetboxService::give_all() {
    refused_.clear();
    std::string after;
    for (;;) {
        const auto machines = host_.store.list(kMachineKind, after, kTurn);
        if (!machines || machines->empty()) co_return;
        after = machines->back().key;
        for (const auto& one : *machines) {
            if (stopping_) co_return;
            if (one.value.find("\"netbox\"") != std::string::npos) co_await give(one.key);
        }
        co_await asio::post(host_.loop, asio::use_awaitable);
    }
}

std::optional<NetboxPrefix> NetboxService::known_of(const Machine& machine) const {
    const bool by_serial = settings_ && settings_->match == NetboxMatch::kSerial;
    const auto& key = by_serial ? machine.serial : machine.name;
    if (key.empty()) return std::nullopt;
    const auto record = host_.store.get(kNetboxPrefixKind, key);
    if (!record || !*record) return std::nullopt;
    auto prefix = decode_netbox_prefix((*record)->value);
    return prefix ? std::optional(std::move(*prefix)) : std::nullopt;
}

Awaitable<void> NetboxService::give(std::string name) {
    std::string before;
    std::string after;
    RecordEdit edit = [&](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
        after.clear();
        if (!record) return std::nullopt;
        auto machine = decode<Machine>(record->value);
        if (!machine) return fail(std::move(machine.error()));
        if (machine->production.mode != ProductionMode::kNetbox) return std::nullopt;
        const auto known = known_of(*machine);
        if (!known || machine->production.prefix == known->entry.prefix.to_string()) return std::nullopt;
        before = machine->production.prefix;
        after = known->entry.prefix.to_string();
        machine->production.prefix = after;
        return put_of(*machine);
    };
    std::string kind(kMachineKind);
    std::string key = name;
    auto given = co_await update_record(host_.store, std::move(kind), std::move(key), kActor, "NetBox's prefix",
                                        std::move(edit));
    refused_.erase(name);
    if (!given) {
        // Another machine has it: by hand, by a pool, or by an older answer of NetBox.
        refused_[name] = given.error().to_string();
        co_return;
    }
    if (after.empty()) co_return;
    log_.info("production prefix from NetBox", {{"machine", name}, {"prefix", after}});
    host_.events.publish({"machine.prefix",
                          name,
                          "the production prefix is " + after + ", says NetBox",
                          {{"prefix", after}, {"before", before}, {"source", "netbox"}}});
}

HealthCondition NetboxService::health() const {
    HealthCondition condition{"metadata", "netbox", HealthScope::kInfo, HealthState::kOk, "off", {}, {}};
    if (!settings_) return condition;
    if (!error_.empty()) {
        condition.state = HealthState::kDegraded;
        condition.message = error_;
        condition.remedy = last_success_ == SystemTime{} ? "what an earlier run was told holds"
                                                         : "the prefixes as of " + to_rfc3339(last_success_) + " hold";
    } else if (last_success_ == SystemTime{}) {
        condition.message = "not read yet";
    } else if (!problems_.empty() || !refused_.empty()) {
        condition.state = HealthState::kDegraded;
        condition.message =
            problems_.empty() ? refused_.begin()->first + ": " + refused_.begin()->second : problems_.front();
        condition.remedy = "see \"show netbox\"; correct it in NetBox";
    } else {
        condition.message = "read at " + to_rfc3339(last_success_);
    }
    return condition;
}

Result<Output> NetboxService::show() const {
    const auto records = host_.store.list(kNetboxPrefixKind);
    if (!records) return fail(Error(records.error()));
    boost::json::array rows;
    std::string table;
    for (const auto& record : *records) {
        const auto prefix = decode_netbox_prefix(record.value);
        if (!prefix) continue;
        rows.push_back({{"machine", prefix->entry.machine},
                        {"prefix", prefix->entry.prefix.to_string()},
                        {"id", prefix->entry.id},
                        {"fetched", to_rfc3339(prefix->fetched)},
                        {"gone", prefix->gone}});
        table += fmt::format("  {:<24} {:<28} {}\n", prefix->entry.machine, prefix->entry.prefix.to_string(),
                             prefix->gone ? "not listed any more" : "");
    }
    boost::json::array problems;
    for (const auto& one : problems_) problems.emplace_back(one);
    for (const auto& [machine, why] : refused_) problems.emplace_back(machine + ": " + why);
    Output out;
    out.text = fmt::format("netbox        {}\n", settings_ ? "https://" + settings_->origin.authority() : "off");
    out.text += fmt::format("last read     {}\n", last_success_ == SystemTime{} ? "never" : to_rfc3339(last_success_));
    if (!error_.empty()) out.text += fmt::format("trouble       {} (tried {} times)\n", error_, failures_);
    for (const auto& one : problems) out.text += fmt::format("problem       {}\n", std::string_view(one.get_string()));
    if (skipped_ != 0) out.text += fmt::format("skipped       {} objects without a machine or with IPv4\n", skipped_);
    out.text += fmt::format("prefixes      {}\n{}", rows.size(), table);
    out.data = boost::json::object{{"url", settings_ ? "https://" + settings_->origin.authority() : ""},
                                   {"last_read", to_rfc3339(last_success_)},
                                   {"last_attempt", to_rfc3339(last_attempt_)},
                                   {"error", error_},
                                   {"failures", failures_},
                                   {"skipped", skipped_},
                                   {"problems", std::move(problems)},
                                   {"prefixes", std::move(rows)}};
    return out;
}

}  // namespace nett::metadata
