// TLS on a non-blocking socket, or the socket alone: OpenSSL reads and writes the descriptor itself, and the caller
// waits for readiness.
//
// Asio's ssl::stream keeps 68 KiB of buffers a connection (a BIO pair and two vectors of 17 KiB) and copies each byte
// twice more; here an idle connection has no buffer at all (SSL_MODE_RELEASE_BUFFERS), and what is readable or writable
// now costs no asynchronous operation.
#pragma once

#include <cstddef>
#include <memory>

#include <openssl/types.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include "agent/sdk/asio.hpp"

namespace nett::metadata {

// What the socket must be ready for before the next attempt.
enum class Want { kNothing, kRead, kWrite };

// What came of an attempt that does not block. With `want` kNothing and no error all of it was done; `bytes` may be
// positive in any case.
struct Attempt {
    std::size_t bytes = 0;
    Want want = Want::kNothing;
    boost::system::error_code error = {};  // asio::error::eof: the peer ended the connection
};

// The server's side of one connection. Not thread-safe, but for interrupt().
class TlsStream {
public:
    using Socket = boost::asio::ip::tcp::socket;

    // `socket` is non-blocking already. Without a context: plain TCP.
    TlsStream(Socket socket, SSL_CTX* context);
    ~TlsStream();

    Attempt try_handshake();
    // Up to `size` bytes.
    Attempt try_read(char* data, std::size_t size);
    // Writes as far as the socket takes it. After kWrite the same bytes must be offered again, from any address.
    Attempt try_write(const char* data, std::size_t size);
    // Tells the peer that nothing more comes (close_notify and FIN). Best effort.
    void say_goodbye();
    // Reads and drops what the peer still sends, up to `size` bytes.
    Attempt try_discard(std::size_t size);
    // Received bytes that wait inside OpenSSL: the socket's readiness does not tell of them.
    bool has_pending() const;

    // Until the socket is ready; false when that cannot be known any more.
    Awaitable<bool> ready(Want want);
    // Any thread, as long as the stream lives: the peer and ready() see the end of the connection.
    void interrupt();
    // Any thread, as long as the stream lives: as if the peer had sent its last byte.
    void stop_reading();
    // The same: bytes that were sent and that the peer has not acknowledged, FIN included.
    std::size_t unacknowledged() const;
    // close() will reset the connection: what the peer has not taken is not kept in the kernel.
    void abort();
    void close();

    SSL* native_handle() const { return ssl_.get(); }

private:
    struct Free {
        void operator()(SSL* ssl) const;
    };
    Attempt attempt_of(int status);
    Attempt try_write_plain(const char* data, std::size_t size);

    Socket socket_;
    const int descriptor_;
    std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace nett::metadata
