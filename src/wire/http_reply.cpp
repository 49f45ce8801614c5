#include "wire/http_reply.hpp"

#include "wire/http1.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace redoubt::wire {
namespace {

constexpr std::size_t kHeadMax = 64 * 1024;

// Takes a line without its CR LF.
std::string_view take_line(std::string_view& head) {
  const std::size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
  return line;
}

bool has_forbidden(std::string_view text) {
  return std::ranges::any_of(text,
                             [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; });
}

// "HTTP/1.1 200 OK": the status, 0 when it is none.
int read_status(std::string_view line, bool& old) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return 0;
  if (line[7] != '0' && line[7] != '1') return 0;
  if (line.size() > 12 && line[12] != ' ') return 0;
  old = line[7] == '0';
  int status = 0;
  const auto [end, ec] = std::from_chars(line.data() + 9, line.data() + 12, status);
  return ec == std::errc() && end == line.data() + 12 && status >= 100 ? status : 0;
}

}  // namespace

bool HttpReply::read_field(std::string_view name, std::string_view value) {
  if (ascii_iequals(name, "content-length")) {
    if (has_length_ || framing_ == Framing::chunked) return false;
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), left_);
    if (value.empty() || ec != std::errc() || end != value.data() + value.size()) return false;
    has_length_ = true;
    framing_ = Framing::length;
  } else if (ascii_iequals(name, "transfer-encoding")) {
    if (has_length_ || !ascii_iequals(value, "chunked")) return false;
    framing_ = Framing::chunked;
    chunked_.emplace(body_max_);
  } else if (ascii_iequals(name, "connection")) {
    for (const std::string_view option : split(value, ',')) {
      if (ascii_iequals(trim(option), "close")) keep_alive_ = false;
    }
  } else if (ascii_iequals(name, "content-type")) {
    content_type_ = value;
  }
  return true;
}

bool HttpReply::read_head(std::string_view head) {
  bool old = false;
  const int status = read_status(take_line(head), old);
  if (status == 0) return false;
  keep_alive_ = !old;
  framing_ = Framing::until_close;  // An interim response may have been here before.
  has_length_ = false;
  while (!head.empty()) {
    const std::string_view line = take_line(head);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
        has_forbidden(line) || !read_field(line.substr(0, colon), trim(line.substr(colon + 1)))) {
      return false;
    }
  }
  if (framing_ == Framing::length && left_ > body_max_) return false;
  if (status == 204 || status == 304) framing_ = Framing::none;
  if (framing_ == Framing::until_close) keep_alive_ = false;
  if (status >= 200) status_ = status;
  return true;
}

HttpReply::Status HttpReply::feed(std::string_view input, std::size_t& used) {
  used = 0;
  while (!has_head()) {
    const std::string_view rest = input.substr(used);
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      return rest.size() > kHeadMax ? Status::malformed : Status::more;
    }
    if (end > kHeadMax || !read_head(rest.substr(0, end + 2))) return Status::malformed;
    used += end + 4;
  }
  std::size_t taken = 0;
  const Status status = feed_body(input.substr(used), taken);
  used += taken;
  return status;
}

HttpReply::Status HttpReply::feed_body(std::string_view input, std::size_t& used) {
  switch (framing_) {
    case Framing::none:
      return Status::done;
    case Framing::length: {
      const auto n = std::min<std::uint64_t>(left_, input.size());
      body_ += input.substr(0, n);
      left_ -= n;
      used = n;
      return left_ == 0 ? Status::done : Status::more;
    }
    case Framing::chunked:
      switch (chunked_->feed(input, used, body_)) {
        case ChunkedDecoder::Status::done:
          return Status::done;
        case ChunkedDecoder::Status::more:
          return Status::more;
        default:
          return Status::malformed;
      }
    case Framing::until_close:
      if (input.size() > body_max_ - std::min(body_max_, body_.size())) return Status::malformed;
      body_ += input;
      used = input.size();
      return Status::more;
  }
  return Status::malformed;
}

HttpReply::Status HttpReply::closed() {
  return has_head() && framing_ == Framing::until_close ? Status::done : Status::malformed;
}

}  // namespace redoubt::wire
