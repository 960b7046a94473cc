// The media listener's life: its servers, what it records of fetches, and the end of old grants.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>

#include "agent/sdk/plugin.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/metadata/media.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/status.hpp"

namespace nett::metadata {

// Loop thread. Off, and without cost, while no endpoint is configured.
class MediaListener {
public:
    explicit MediaListener(const Host& host);

    // Reads what an earlier run recorded, and follows the grants.
    Result<void> start();
    // Everything of a new configuration that can fail; nothing changes until adopt().
    struct Prepared {
        MediaSettings settings;
        TlsFiles files;  // certificate and key; no client CA
        std::shared_ptr<const TlsContext> tls;
        Server::Listeners http;
        Server::Listeners https;
    };
    Result<Prepared> prepare(MediaSettings settings, const TlsFiles& server_files);
    void adopt(Prepared prepared);
    Awaitable<void> stop(SteadyTime deadline);

    // Condition metadata/media, scope info: a BMC that cannot fetch is no reason to take boots elsewhere.
    HealthCondition health() const;
    void add_to(std::vector<OtherListener>& listeners) const;
    // `show media`: one row a grant.
    Result<Output> show() const;

private:
    Awaitable<void> keep();
    Awaitable<void> record();
    Awaitable<void> sweep();
    void reload_tls();

    const Host& host_;
    Logger log_{"metadata"};
    MediaLedger ledger_;
    MediaService service_;
    std::shared_ptr<Server> http_;
    std::shared_ptr<Server> https_;
    MediaSettings settings_;
    TlsFiles files_;
    Subscription grants_;
    Subscription certificates_;
    TaskGroup tasks_;
    asio::steady_timer tick_;
    bool stopping_ = true;
};

}  // namespace nett::metadata
