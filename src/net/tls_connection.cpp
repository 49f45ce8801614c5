// Connections over TLS, by Asio's stream.
#include "net/http_connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

class TlsConnection final : public HttpConnection {
 public:
  TlsConnection(std::shared_ptr<ServerState> state, tcp::socket socket, std::string peer,
                std::shared_ptr<asio::ssl::context> tls)
      : HttpConnection(std::move(state), std::move(peer), true),
        tls_(std::move(tls)),
        stream_(std::move(socket), *tls_) {}

  void start() override {
    enter(Phase::handshake);
    auto self = keep();
    stream_.async_handshake(asio::ssl::stream_base::server, [self](boost::system::error_code ec) {
      if (ec || self->closed()) return self->close();
      self->begin();
    });
  }

 protected:
  void start_read(char* at, std::size_t room) override {
    auto self = keep();
    stream_.async_read_some(
        asio::buffer(at, room),
        [self](boost::system::error_code ec, std::size_t n) { self->on_read(ec.failed(), n); });
  }

  ssize_t write_now(std::string_view) override { return 0; }

  void start_write(std::string_view bytes) override {
    auto self = keep();
    stream_.async_write_some(
        asio::buffer(bytes),
        [self](boost::system::error_code ec, std::size_t n) { self->on_write(ec.failed(), n); });
  }

  bool say_goodbye() override {
    auto self = keep();
    stream_.async_shutdown([self](boost::system::error_code) { self->close(); });
    return false;
  }

  void close_socket() override {
    boost::system::error_code ignored;
    stream_.lowest_layer().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.lowest_layer().close(ignored);
  }

  bool may_write_while_reading() const override { return false; }

 private:
  std::shared_ptr<TlsConnection> keep() {
    return std::static_pointer_cast<TlsConnection>(shared_from_this());
  }

  std::shared_ptr<asio::ssl::context> tls_;  // Outlives the stream made from it.
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::shared_ptr<HttpConnection> make_tls_connection(std::shared_ptr<ServerState> server,
                                                    tcp::socket socket, std::string peer,
                                                    std::shared_ptr<asio::ssl::context> tls) {
  return std::make_shared<TlsConnection>(std::move(server), std::move(socket), std::move(peer),
                                         std::move(tls));
}

}  // namespace redoubt::net
