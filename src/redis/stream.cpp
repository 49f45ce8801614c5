#include "redis/stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace redoubt::redis {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using boost::system::error_code;

constexpr auto quietly = asio::as_tuple(asio::use_awaitable);

Unexpected cannot(std::string what, const error_code& ec) {
  return fail(Error(Errc::unavailable, "redis_unavailable", "Redis cannot be reached",
                    std::move(what) + ": " + ec.message()));
}

Unexpected bad_file(const char* what, const std::string& file, const error_code& ec) {
  return fail(Error(Errc::invalid_argument, "redis_options",
                    std::string(what) + " " + file + " cannot be used", ec.message()));
}

// Sends at once, keeps the connection known to be alive (after 5 s, every 2 s, twice), and gives up
// on a peer that acknowledges nothing; the kernel's own patience is a quarter of an hour.
void tune(int socket, Duration user_timeout) {
  const auto set = [socket](int level, int name, int value) {
    ::setsockopt(socket, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set(IPPROTO_TCP, TCP_KEEPCNT, 2);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
}

// What OpenSSL says of a certificate is the useful half of a failed handshake.
std::string tls_failure(SSL* tls, const error_code& ec) {
  const long verdict = SSL_get_verify_result(tls);
  if (verdict == X509_V_OK) return ec.message();
  return ec.message() + " (" + X509_verify_cert_error_string(verdict) + ")";
}

}  // namespace

Result<std::shared_ptr<ssl::context>> make_tls_context(const Tls& tls) {
  if (!tls.enabled) return nullptr;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  error_code ec;
  context->set_verify_mode(tls.verify ? ssl::verify_peer : ssl::verify_none, ec);
  if (tls.ca_file.empty()) {
    context->set_default_verify_paths(ec);
  } else {
    context->load_verify_file(tls.ca_file, ec);
    if (ec) return bad_file("the authorities' file", tls.ca_file, ec);
  }
  if (!tls.certificate_file.empty()) {
    context->use_certificate_chain_file(tls.certificate_file, ec);
    if (ec) return bad_file("the certificate file", tls.certificate_file, ec);
    context->use_private_key_file(tls.key_file, ssl::context::pem, ec);
    if (ec) return bad_file("the key file", tls.key_file, ec);
  }
  return context;
}

Stream::Stream(asio::any_io_executor executor, std::shared_ptr<ssl::context> tls)
    : executor_(executor), tls_(std::move(tls)), resolver_(executor) {}

Task<std::vector<Stream::Address>> Stream::look_up(Endpoint endpoint) {
  std::vector<Address> found;
  if (!endpoint.socket_path.empty()) {
    found.emplace_back(asio::local::stream_protocol::endpoint(endpoint.socket_path));
    co_return found;
  }
  error_code numeric;
  const auto address = asio::ip::make_address(endpoint.host, numeric);
  if (!numeric) {
    found.emplace_back(asio::ip::tcp::endpoint(address, endpoint.port));
    co_return found;
  }
  const auto [ec, results] =
      co_await resolver_.async_resolve(endpoint.host, std::to_string(endpoint.port), quietly);
  if (ec) co_return cannot("looking up " + endpoint.host, ec);
  for (const auto& result : results) found.emplace_back(result.endpoint());
  co_return found;
}

Task<void> Stream::connect(Address address, Duration user_timeout) {
  stream_.reset();
  plain_ = std::make_unique<Socket>(executor_);
  error_code failed;
  plain_->open(address.protocol(), failed);
  if (failed) co_return cannot("opening a socket", failed);
  const auto [ec] = co_await plain_->async_connect(address, quietly);
  if (ec) co_return cannot("connecting", ec);
  if (address.protocol().family() != AF_UNIX) tune(plain_->native_handle(), user_timeout);
  plain_->non_blocking(true, failed);
  if (failed) co_return cannot("connecting", failed);
  co_return Result<void>{};
}

Task<void> Stream::handshake_tls(std::string server_name) {
  if (!tls_) co_return Result<void>{};
  stream_ = std::make_unique<ssl::stream<Socket>>(std::move(*plain_), *tls_);
  plain_.reset();
  SSL* const tls = stream_->native_handle();
  error_code not_address;
  asio::ip::make_address(server_name, not_address);
  if (not_address) {
    SSL_set_tlsext_host_name(tls, server_name.c_str());
    SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(tls, server_name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), server_name.c_str());
  }
  const auto [ec] = co_await stream_->async_handshake(ssl::stream_base::client, quietly);
  if (!ec) co_return Result<void>{};
  co_return fail(Error(Errc::unavailable, "redis_unavailable", "Redis cannot be reached",
                       "TLS: " + tls_failure(tls, ec)));
}

asio::awaitable<std::size_t> Stream::read_some(char* at, std::size_t room) {
  const auto buffer = asio::buffer(at, room);
  if (!open_) co_return 0;
  const auto [ec, size] = stream_ ? co_await stream_->async_read_some(buffer, quietly)
                                  : co_await plain_->async_read_some(buffer, quietly);
  if (ec) note(ec);
  co_return ec ? 0 : size;
}

std::size_t Stream::write_now(std::string_view bytes) {
  if (stream_ || !open_) return 0;
  error_code ec;
  return plain_->write_some(asio::buffer(bytes), ec);
}

void Stream::write(std::string_view bytes, std::function<void(bool)> done) {
  auto finished = [this, done = std::move(done)](error_code ec, std::size_t) {
    if (ec) note(ec);
    done(!ec);
  };
  const auto buffer = asio::buffer(bytes);
  if (stream_) {
    asio::async_write(*stream_, buffer, std::move(finished));
  } else {
    asio::async_write(*plain_, buffer, std::move(finished));
  }
}

void Stream::note(const error_code& ec) {
  if (failure_.empty()) failure_ = ec.message();
}

void Stream::close() {
  if (!open_) return;
  open_ = false;
  resolver_.cancel();
  if (!plain_ && !stream_) return;
  error_code ignored;
  socket().shutdown(Socket::shutdown_both, ignored);
  socket().close(ignored);
}

}  // namespace redoubt::redis
