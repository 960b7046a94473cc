// Which links' IPv6 addresses have changed, as the kernel tells.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

// Loop thread only. What is waiting is taken together, and each link that it concerns is told once; when events were
// lost (ENOBUFS) observers hear of link 0, which means any.
class AddressWatch : public std::enable_shared_from_this<AddressWatch> {
public:
    static Result<std::shared_ptr<AddressWatch>> open(asio::any_io_executor loop);

    Subscription observe(std::function<void(int link)> observer);
    // Ends delivery; call before dropping the last reference.
    void close();

private:
    explicit AddressWatch(asio::any_io_executor loop);

    void wait();
    void on_readable();
    void collect(int size, std::set<int>& links) const;

    asio::posix::stream_descriptor descriptor_;
    std::vector<char> buffer_;
    std::map<int, std::function<void(int)>> observers_;
    int next_observer_ = 0;
};

}  // namespace nett
