#include "net/tls.hpp"

#include <openssl/ssl.h>

namespace redoubt::net {

namespace ssl = boost::asio::ssl;

TlsContext::TlsContext(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}

Result<void> TlsContext::reload() {
  auto fresh = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code ec;
  fresh->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                         ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                         ssl::context::no_tlsv1_1 | ssl::context::single_dh_use,
                     ec);
  SSL_CTX_set_options(fresh->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(fresh->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_cipher_list(fresh->native_handle(),
                          "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                          "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                          "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
  const auto complain = [&ec](const char* what, const std::string& file) {
    return fail(Error(Errc::invalid_argument, "tls_invalid",
                      std::string(what) + " " + file + ": " + ec.message()));
  };
  fresh->use_certificate_chain_file(certificate_file_, ec);
  if (ec) return complain("certificate file", certificate_file_);
  fresh->use_private_key_file(key_file_, ssl::context::pem, ec);
  if (ec) return complain("key file", key_file_);
  if (SSL_CTX_check_private_key(fresh->native_handle()) != 1) {
    return fail(
        Error(Errc::invalid_argument, "tls_invalid",
              "key file " + key_file_ + " does not belong to certificate " + certificate_file_));
  }
  const std::lock_guard lock(mutex_);
  current_ = std::move(fresh);
  return {};
}

std::shared_ptr<ssl::context> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace redoubt::net
