// Asio, Asio.SSL and Beast, compiled once for the whole process; see agent/sdk/asio.hpp.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
