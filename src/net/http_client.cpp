#include "net/http_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/url/parse.hpp>

#include <exception>
#include <optional>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

struct Target {
  bool tls = false;
  std::string host;
  std::string port;
  std::string authority;  // For Host: an IPv6 address keeps its brackets.
  std::string path;
};

Result<Target> read_url(const std::string& url) {
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || (parsed->scheme() != "http" && parsed->scheme() != "https") ||
      parsed->host().empty()) {
    return fail(invalid_argument("url", "must be http://host[:port]/... or https://..."));
  }
  Target target;
  target.tls = parsed->scheme() == "https";
  target.host = parsed->host_address();
  target.port = parsed->has_port() ? std::string(parsed->port()) : (target.tls ? "443" : "80");
  target.authority = std::string(parsed->encoded_host_and_port());
  target.path = std::string(parsed->encoded_resource());
  if (target.path.empty() || target.path.front() != '/') target.path.insert(0, "/");
  return target;
}

http::request<http::string_body> make_message(const ClientRequest& request, const Target& target) {
  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(target.path);
  message.version(11);
  message.set(http::field::host, target.authority);
  message.set(http::field::user_agent, "redoubt-cli");
  message.set(http::field::connection, "close");
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

template <class Stream>
asio::awaitable<ClientResponse> exchange(Stream& stream, const ClientRequest& request,
                                         const Target& target) {
  const auto message = make_message(request, target);
  co_await http::async_write(stream, message, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(64u << 20);
  if (request.method == "HEAD") parser.skip(true);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  ClientResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    response.headers.emplace_back(field.name_string(), field.value());
  }
  response.body = std::move(parser.get().body());
  co_return response;
}

asio::awaitable<ClientResponse> run(const ClientRequest& request, const Target& target) {
  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  const auto endpoints =
      co_await resolver.async_resolve(target.host, target.port, asio::use_awaitable);
  if (!target.tls) {
    beast::tcp_stream stream(executor);
    stream.expires_after(request.timeout);
    co_await stream.async_connect(endpoints, asio::use_awaitable);
    co_return co_await exchange(stream, request, target);
  }
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_verify_mode(asio::ssl::verify_peer);
  if (request.ca_file.empty()) {
    tls.set_default_verify_paths();
  } else {
    tls.load_verify_file(request.ca_file);
  }
  beast::ssl_stream<beast::tcp_stream> stream(executor, tls);
  SSL_set_tlsext_host_name(stream.native_handle(), target.host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(target.host));
  beast::get_lowest_layer(stream).expires_after(request.timeout);
  co_await beast::get_lowest_layer(stream).async_connect(endpoints, asio::use_awaitable);
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_return co_await exchange(stream, request, target);
}

Error failed(const Target& target, const boost::system::system_error& e) {
  if (e.code() == beast::error::timeout) {
    return Error(Errc::deadline_exceeded, "timeout",
                 "no answer from " + target.host + ":" + target.port + " in time");
  }
  return unavailable("connect_failed", "cannot talk to " + target.host + ":" + target.port + ": " +
                                           e.code().message());
}

}  // namespace

Result<ClientResponse> fetch(const ClientRequest& request) {
  RD_TRY(target, read_url(request.url));
  asio::io_context io;
  std::optional<ClientResponse> response;
  std::exception_ptr thrown;
  asio::co_spawn(io, run(request, target), [&](std::exception_ptr e, ClientResponse r) {
    thrown = e;
    if (!e) response = std::move(r);
  });
  io.run();
  if (response) return std::move(*response);
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& e) {
    return fail(failed(target, e));
  } catch (const std::exception& e) {
    return fail(internal(e.what()));
  }
}

}  // namespace redoubt::net
