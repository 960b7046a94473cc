#include "agent/sdk/address.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr unsigned kAddressBits = 128;

Address6 masked(const Address6& address, unsigned length) {
    auto bytes = address.to_bytes();
    for (unsigned i = 0; i < bytes.size(); ++i) {
        const unsigned first_bit = i * 8;
        if (first_bit >= length) {
            bytes[i] = 0;
        } else if (first_bit + 8 > length) {
            bytes[i] &= static_cast<unsigned char>(0xff00U >> (length - first_bit));
        }
    }
    return Address6(bytes);
}

// Splits "address/length" and parses both.
Result<InterfaceAddress> parse_with_length(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" has no prefix length; write e.g. 2001:db8::/64", text);
    }
    auto address = parse_address6(text.substr(0, slash));
    if (!address) return fail(std::move(address.error()));
    auto length = parse_integer(text.substr(slash + 1), 0, kAddressBits);
    if (!length) return fail(Code::kInvalidArgument, "\"{}\": the prefix length is a number from 0 to 128", text);
    return InterfaceAddress{*address, static_cast<unsigned>(*length)};
}

}  // namespace

Result<Address6> parse_address6(std::string_view text) {
    if (text.find('%') != std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\": an address with a zone id cannot be used here", text);
    }
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address_v6(std::string(text), error);
    if (error) {
        return fail(Code::kInvalidArgument, "\"{}\" is not an IPv6 address; write e.g. 2001:db8::1", text);
    }
    return address;
}

Prefix6::Prefix6(const Address6& address, unsigned length) : address_(masked(address, length)), length_(length) {}

Result<Prefix6> Prefix6::parse(std::string_view text) {
    auto parsed = parse_with_length(text);
    if (!parsed) return fail(std::move(parsed.error()));
    const Prefix6 prefix(parsed->address, parsed->length);
    if (prefix.address_ != parsed->address) {
        return fail(Code::kInvalidArgument, "\"{}\" has bits set behind its length; the prefix is {}", text,
                    prefix.to_string());
    }
    return prefix;
}

std::string Prefix6::to_string() const {
    return fmt::format("{}/{}", address_.to_string(), length_);
}

bool Prefix6::contains(const Address6& address) const {
    return masked(address, length_) == address_;
}

bool Prefix6::contains(const Prefix6& other) const {
    return other.length_ >= length_ && contains(other.address_);
}

bool Prefix6::overlaps(const Prefix6& other) const {
    return contains(other) || other.contains(*this);
}

std::uint64_t Prefix6::count(unsigned length) const {
    if (length < length_ || length > kAddressBits) return 0;
    constexpr unsigned kMostBits = 32;  // more subnets than any switch has ports
    return std::uint64_t{1} << std::min(length - length_, kMostBits);
}

Prefix6 Prefix6::subnet(std::uint64_t index, unsigned length) const {
    auto bytes = address_.to_bytes();
    for (unsigned bit = length; bit > length_ && index != 0; --bit, index >>= 1U) {
        if ((index & 1U) != 0) bytes[(bit - 1) / 8] |= static_cast<unsigned char>(0x80U >> ((bit - 1) % 8));
    }
    return Prefix6(Address6(bytes), length);
}

Address6 Prefix6::host(std::uint64_t identifier) const {
    auto bytes = address_.to_bytes();
    for (std::size_t i = bytes.size(); i-- > 8 && identifier != 0; identifier >>= 8U) {
        bytes[i] |= static_cast<unsigned char>(identifier & 0xffU);
    }
    return Address6(bytes);
}

Result<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
    return parse_with_length(text);
}

std::string InterfaceAddress::to_string() const {
    return fmt::format("{}/{}", address.to_string(), length);
}

Result<boost::asio::ip::tcp::endpoint> parse_endpoint6(std::string_view text) {
    const auto close = text.rfind("]:");
    if (text.empty() || text.front() != '[' || close == std::string_view::npos) {
        return fail(Code::kInvalidArgument, "\"{}\" is not an endpoint; write e.g. [2001:db8::1]:443", text);
    }
    auto address = parse_address6(text.substr(1, close - 1));
    if (!address) return fail(std::move(address.error()));
    constexpr int kHighestPort = 65535;
    auto port = parse_integer(text.substr(close + 2), 1, kHighestPort);
    if (!port) return fail(Code::kInvalidArgument, "\"{}\": the port is a number from 1 to 65535", text);
    return boost::asio::ip::tcp::endpoint(*address, static_cast<unsigned short>(*port));
}

std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint) {
    return fmt::format("[{}]:{}", endpoint.address().to_string(), endpoint.port());
}

}  // namespace nett
