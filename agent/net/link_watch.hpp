// The links of this network namespace, kept current by rtnetlink's link events.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "agent/net/netlink.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/net.hpp"

namespace nett {

// Loop thread only. Any burst of events, and a lost one (ENOBUFS), leads to one fresh dump; observers hear of it once
// and only when something that Link carries has changed.
class LinkWatch : public std::enable_shared_from_this<LinkWatch> {
public:
    static Result<std::shared_ptr<LinkWatch>> open(asio::any_io_executor loop);

    const std::vector<Link>& links() const { return links_; }
    Subscription observe(std::function<void()> observer);
    // Ends delivery; call before dropping the last reference.
    void close();

private:
    LinkWatch(asio::any_io_executor loop, netlink::Socket events, netlink::Socket requests);

    void wait();
    void on_readable();
    Result<std::vector<Link>> dump();

    netlink::Socket events_;    // multicast; its descriptor is owned by libnl, descriptor_ holds a duplicate
    netlink::Socket requests_;  // dumps
    asio::posix::stream_descriptor descriptor_;
    std::vector<Link> links_;
    std::map<int, std::function<void()>> observers_;
    int next_observer_ = 0;
};

}  // namespace nett
