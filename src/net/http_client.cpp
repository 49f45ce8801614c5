#include "net/http_client.hpp"

#include "base/append.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/url/parse.hpp>

#include <array>
#include <cstdint>
#include <exception>
#include <optional>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint64_t kBodyMax = 64u << 20;

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

std::string message_of(const ClientRequest& request, const Target& target) {
  std::string out = request.method + " " + target.path + " HTTP/1.1\r\n";
  append_parts(out, "Host: ", target.authority, "\r\n");
  out += "User-Agent: redoubt-cli\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) append_parts(out, name, ": ", value, "\r\n");
  const bool has_body = !request.body.empty() || request.method == "POST" ||
                        request.method == "PUT" || request.method == "PATCH";
  if (has_body) append_parts(out, "Content-Length: ", std::to_string(request.body.size()), "\r\n");
  append_parts(out, "\r\n", request.body);
  return out;
}

// An answer, from whatever pieces it comes in.
class Answer {
 public:
  explicit Answer(bool has_body) {
    parser_.eager(true);
    parser_.body_limit(kBodyMax);
    parser_.skip(!has_body);
  }

  bool complete() const { return parser_.is_done(); }
  void take(std::string_view piece) {
    pending_ += piece;
    boost::system::error_code error;
    const std::size_t used = parser_.put(asio::buffer(pending_), error);
    if (error && error != http::error::need_more) throw boost::system::system_error(error);
    pending_.erase(0, used);
  }
  void take_end() {
    boost::system::error_code error;
    parser_.put_eof(error);
    if (error) throw boost::system::system_error(error);
  }
  ClientResponse release() {
    ClientResponse response;
    response.status = static_cast<int>(parser_.get().result_int());
    for (const auto& field : parser_.get()) {
      response.headers.emplace_back(field.name_string(), field.value());
    }
    response.body = std::move(parser_.get().body());
    return response;
  }

 private:
  http::response_parser<http::string_body> parser_;
  std::string pending_;  // What the parser wants to see more of.
};

template <class Stream>
asio::awaitable<ClientResponse> exchange(Stream& stream, const ClientRequest& request,
                                         const Target& target) {
  const std::string message = message_of(request, target);
  co_await asio::async_write(stream, asio::buffer(message), asio::use_awaitable);
  Answer answer(request.method != "HEAD");
  std::array<char, 16'384> piece{};
  while (!answer.complete()) {
    const auto [error, size] =
        co_await stream.async_read_some(asio::buffer(piece), asio::as_tuple(asio::use_awaitable));
    if (size > 0) answer.take({piece.data(), size});
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
      answer.take_end();
    } else if (error) {
      throw boost::system::system_error(error);
    }
  }
  co_return answer.release();
}

asio::awaitable<ClientResponse> run(const ClientRequest& request, const Target& target) {
  const auto executor = co_await asio::this_coro::executor;
  tcp::resolver resolver(executor);
  const auto endpoints =
      co_await resolver.async_resolve(target.host, target.port, asio::use_awaitable);
  if (!target.tls) {
    tcp::socket stream(executor);
    co_await asio::async_connect(stream, endpoints, asio::use_awaitable);
    co_return co_await exchange(stream, request, target);
  }
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_verify_mode(asio::ssl::verify_peer);
  if (request.ca_file.empty()) {
    tls.set_default_verify_paths();
  } else {
    tls.load_verify_file(request.ca_file);
  }
  asio::ssl::stream<tcp::socket> stream(executor, tls);
  SSL_set_tlsext_host_name(stream.native_handle(), target.host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(target.host));
  co_await asio::async_connect(stream.lowest_layer(), endpoints, asio::use_awaitable);
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_return co_await exchange(stream, request, target);
}

Error timed_out(const Target& target) {
  return Error(Errc::deadline_exceeded, "timeout",
               "no answer from " + target.host + ":" + target.port + " in time");
}

Error failed(const Target& target, const boost::system::system_error& e) {
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
  io.run_for(request.timeout);
  if (response) return std::move(*response);
  if (!thrown) return fail(timed_out(target));
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& e) {
    return fail(failed(target, e));
  } catch (const std::exception& e) {
    return fail(internal(e.what()));
  }
}

}  // namespace redoubt::net
