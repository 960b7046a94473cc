// IPv6 values: addresses, prefixes, endpoints. nett has no IPv4.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/result.hpp"

namespace nett {

using Address6 = boost::asio::ip::address_v6;

// RFC 5952 text; a zone id, an IPv4 address or a name is refused with the reason.
Result<Address6> parse_address6(std::string_view text);

// An IPv6 prefix: host bits are always zero (RFC 4291 section 2.3).
class Prefix6 {
public:
    Prefix6() = default;
    // Zeroes the host bits. Requires length <= 128.
    Prefix6(const Address6& address, unsigned length);

    // "2001:db8:b000::/56". Host bits that are set are an error that names the prefix meant.
    static Result<Prefix6> parse(std::string_view text);

    const Address6& address() const { return address_; }
    unsigned length() const { return length_; }
    std::string to_string() const;

    bool contains(const Address6& address) const;
    bool contains(const Prefix6& other) const;
    bool overlaps(const Prefix6& other) const;

    // How many prefixes of `length` fit, saturating at 2^32. 0 when `length` is shorter than this prefix.
    std::uint64_t count(unsigned length) const;
    // The index-th prefix of `length` inside this one; requires index < count(length).
    Prefix6 subnet(std::uint64_t index, unsigned length) const;
    // The address with the given interface identifier: host(1) of 2001:db8::/64 is 2001:db8::1.
    Address6 host(std::uint64_t identifier) const;

    friend bool operator==(const Prefix6& a, const Prefix6& b) {
        return a.address_ == b.address_ && a.length_ == b.length_;
    }
    friend bool operator<(const Prefix6& a, const Prefix6& b) {
        return a.address_ == b.address_ ? a.length_ < b.length_ : a.address_ < b.address_;
    }

private:
    Address6 address_;
    unsigned length_ = 0;
};

// An address with its own prefix length, host bits kept, as on an interface: "2001:db8::1/64".
struct InterfaceAddress {
    Address6 address;
    unsigned length = 128;

    static Result<InterfaceAddress> parse(std::string_view text);
    std::string to_string() const;
    friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

// "[2001:db8::1]:443".
Result<boost::asio::ip::tcp::endpoint> parse_endpoint6(std::string_view text);
std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace nett
