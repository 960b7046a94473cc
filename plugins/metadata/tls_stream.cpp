#include "plugins/metadata/tls_stream.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::metadata {

namespace {

using boost::system::error_code;

// OpenSSL's own socket BIO writes with write(2): a peer that is gone would raise SIGPIPE.
int descriptor_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool is_temporary(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int write_socket(BIO* bio, const char* data, int size) {
    const auto sent = ::send(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (sent < 0 && is_temporary(errno)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

int read_socket(BIO* bio, char* data, int size) {
    const auto got = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), 0);
    BIO_clear_retry_flags(bio);
    if (got < 0 && is_temporary(errno)) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
}

long control_socket(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    // Nothing is buffered here.
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

const BIO_METHOD* socket_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "nett");
        BIO_meth_set_write(made, write_socket);
        BIO_meth_set_read(made, read_socket);
        BIO_meth_set_ctrl(made, control_socket);
        return made;
    }();
    return method;
}

error_code openssl_error() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return asio::error::connection_reset;
    return {static_cast<int>(code), asio::error::get_ssl_category()};
}

Attempt receive(int descriptor, char* data, std::size_t size) {
    const auto got = ::recv(descriptor, data, size, 0);
    if (got > 0) return {static_cast<std::size_t>(got)};
    if (got == 0) return {0, Want::kNothing, asio::error::eof};
    if (is_temporary(errno)) return {0, Want::kRead};
    return {0, Want::kNothing, error_code(errno, boost::system::system_category())};
}

// One record: OpenSSL makes nothing longer, and with partial writes it returns after each.
constexpr std::size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

}  // namespace

void TlsStream::Free::operator()(SSL* ssl) const {
    SSL_free(ssl);
}

TlsStream::TlsStream(Socket socket, SSL_CTX* context)
    : socket_(std::move(socket)), descriptor_(socket_.native_handle()) {
    if (context == nullptr) return;
    ssl_.reset(SSL_new(context));
    BIO* bio = ssl_ ? BIO_new(socket_method()) : nullptr;
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor_)));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

Attempt TlsStream::attempt_of(int status) {
    Attempt attempt;
    const int system_error = errno;
    switch (SSL_get_error(ssl_.get(), status)) {
        case SSL_ERROR_WANT_READ:
            attempt.want = Want::kRead;
            break;
        case SSL_ERROR_WANT_WRITE:
            attempt.want = Want::kWrite;
            break;
        case SSL_ERROR_ZERO_RETURN:
            attempt.error = asio::error::eof;
            break;
        case SSL_ERROR_SYSCALL:
            attempt.error = BIO_eof(SSL_get_rbio(ssl_.get())) != 0
                                ? error_code(asio::error::eof)
                                : error_code(system_error, boost::system::system_category());
            ERR_clear_error();
            break;
        default:
            attempt.error = openssl_error();
    }
    return attempt;
}

Attempt TlsStream::try_handshake() {
    if (!ssl_) return {};
    ERR_clear_error();
    const int status = SSL_do_handshake(ssl_.get());
    return status == 1 ? Attempt{} : attempt_of(status);
}

Attempt TlsStream::try_read(char* data, std::size_t size) {
    if (!ssl_) return receive(descriptor_, data, size);
    ERR_clear_error();
    std::size_t got = 0;
    const int status = SSL_read_ex(ssl_.get(), data, size, &got);
    if (status == 1) return {got};
    return attempt_of(status);
}

Attempt TlsStream::try_write(const char* data, std::size_t size) {
    if (!ssl_) return try_write_plain(data, size);
    ERR_clear_error();
    std::size_t done = 0;
    while (done < size) {
        std::size_t sent = 0;
        const int status = SSL_write_ex(ssl_.get(), data + done, std::min(size - done, kRecordBytes), &sent);
        if (status != 1) {
            auto attempt = attempt_of(status);
            attempt.bytes = done;
            return attempt;
        }
        done += sent;
    }
    return {done};
}

Attempt TlsStream::try_write_plain(const char* data, std::size_t size) {
    const auto sent = ::send(descriptor_, data, size, MSG_NOSIGNAL);
    if (sent < 0 && !is_temporary(errno)) return {0, Want::kNothing, {errno, boost::system::system_category()}};
    const auto done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    return {done, done < size ? Want::kWrite : Want::kNothing};
}

void TlsStream::say_goodbye() {
    ERR_clear_error();
    if (ssl_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    ::shutdown(descriptor_, SHUT_WR);
}

Attempt TlsStream::try_discard(std::size_t size) {
    std::array<char, 4096> buffer;
    return receive(descriptor_, buffer.data(), std::min(size, buffer.size()));
}

bool TlsStream::has_pending() const {
    return ssl_ && SSL_has_pending(ssl_.get()) == 1;
}

Awaitable<bool> TlsStream::ready(Want want) {
    const auto what = want == Want::kWrite ? Socket::wait_write : Socket::wait_read;
    auto [error] = co_await socket_.async_wait(what, asio::as_tuple(asio::use_awaitable));
    co_return !error;
}

void TlsStream::interrupt() {
    ::shutdown(descriptor_, SHUT_RDWR);
}

void TlsStream::stop_reading() {
    ::shutdown(descriptor_, SHUT_RD);
}

std::size_t TlsStream::unacknowledged() const {
    int bytes = 0;
    return ::ioctl(descriptor_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void TlsStream::abort() {
    error_code ignored;
    socket_.set_option(Socket::linger(true, 0), ignored);
}

void TlsStream::close() {
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace nett::metadata
