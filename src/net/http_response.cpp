#include "net/http_connection.hpp"

#include "base/append.hpp"

#include <fmt/format.h>

#include <charconv>

namespace redoubt::net {

void HttpResponse::clear() {
  status = 200;
  content_type = {};
  headers.clear();
  body.clear();
  storage.clear();
  close = false;
  stream = nullptr;
  kept = nullptr;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

namespace {

void append_status(std::string& out, int status) {
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
    return;
  }
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
}

void append_content_type(std::string& out, std::string_view content_type) {
  if (content_type.empty()) return;
  out += "Content-Type: ";
  out += content_type;
  out += "\r\n";
}

}  // namespace

void append_response(std::string& out, const HttpResponse& response, const std::string& date_line,
                     bool keep_alive, bool http10, bool head_only) {
  // RFC 9110 8.6: no Content-Length on 204; 304 would announce the length of what it does not send.
  const bool has_content = response.status != 204 && response.status != 304;
  const std::string_view content_type = response.content_type;
  const fmt::format_int status(response.status);
  const fmt::format_int length(response.body.size());
  const auto text_of = [](const fmt::format_int& number) {
    return std::string_view(number.data(), number.size());
  };
  const auto when = [](bool wanted, std::string_view text) {
    return wanted ? text : std::string_view();
  };
  append_parts(out, "HTTP/1.1 ", text_of(status), " ", reason_phrase(response.status), "\r\n",
               when(!content_type.empty(), "Content-Type: "), content_type,
               when(!content_type.empty(), "\r\n"), when(has_content, "Content-Length: "),
               when(has_content, text_of(length)), when(has_content, "\r\n"), date_line,
               when(!keep_alive, "Connection: close\r\n"),
               when(keep_alive && http10, "Connection: keep-alive\r\n"), response.headers, "\r\n",
               when(has_content && !head_only, response.body));
}

void append_stream_response(std::string& out, const HttpResponse& response,
                            const std::string& date_line, bool chunked) {
  append_status(out, response.status);
  append_content_type(out, response.content_type);
  if (chunked) out += "Transfer-Encoding: chunked\r\n";
  out += date_line;
  out += "Connection: close\r\n";
  out += response.headers;
  out += "\r\n";
  if (response.body.empty()) return;
  if (chunked) return append_chunk(out, response.body);
  out += response.body;
}

void append_chunk(std::string& out, std::string_view bytes) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, bytes.size(), 16).ptr;
  out.append(digits, end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace redoubt::net
