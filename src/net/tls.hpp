// The TLS listener's certificate and key, replaceable while connections live: new handshakes use
// the newest, running connections keep theirs. TLS 1.2 and later, server preference of AEAD suites.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/ssl/context.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace redoubt::net {

class TlsContext {
 public:
  TlsContext(std::string certificate_file, std::string key_file);

  // Reads both files again. On error the old ones stay in use.
  // Errors: invalid_argument naming the file and what is wrong with it.
  Result<void> reload();

  std::shared_ptr<boost::asio::ssl::context> current() const;

 private:
  std::string certificate_file_;
  std::string key_file_;
  mutable std::mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> current_;
};

}  // namespace redoubt::net
