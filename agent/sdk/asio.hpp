// Asio as nett uses it: compiled once, into libnett-sdk.so (BOOST_ASIO_DYN_LINK), so that the host and the plugins
// share error categories and service ids. Include this instead of Boost's headers where a signature needs Asio's types.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace nett {

namespace asio = boost::asio;

template <typename T>
using Awaitable = asio::awaitable<T>;

}  // namespace nett
