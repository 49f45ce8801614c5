#include "wire/chunked.hpp"

#include <algorithm>

namespace redoubt::wire {
namespace {

constexpr unsigned kSizeDigitsMax = 8;
constexpr unsigned kExtensionMax = 256;
constexpr unsigned kTrailerMax = 8 * 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(char c) {
  const auto u = static_cast<unsigned char>(c);
  return c == '\t' || (u >= 0x20 && u != 0x7f);
}

}  // namespace

ChunkedDecoder::Status ChunkedDecoder::feed(std::string_view input, std::size_t& used,
                                            std::string& body) {
  used = 0;
  while (used < input.size()) {
    if (state_ == State::data) {
      const std::size_t n =
          std::min<std::size_t>(static_cast<std::size_t>(size_), input.size() - used);
      body.append(input.substr(used, n));
      used += n;
      size_ -= n;
      if (size_ == 0) state_ = State::data_cr;
      continue;
    }
    const Status status = step(input[used++]);
    if (status != Status::more) return status;
  }
  return Status::more;
}

ChunkedDecoder::Status ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::size: {
      const int digit = hex_digit(c);
      if (digit >= 0) {
        if (++digits_ > kSizeDigitsMax) return Status::malformed;
        size_ = size_ * 16 + static_cast<std::uint64_t>(digit);
        return Status::more;
      }
      if (digits_ == 0) return Status::malformed;
      if (c == ';') {
        state_ = State::extension;
        return Status::more;
      }
      if (c != '\r') return Status::malformed;
      state_ = State::size_lf;
      return Status::more;
    }
    case State::extension:
      if (c == '\r') {
        state_ = State::size_lf;
        return Status::more;
      }
      return is_text(c) && ++extension_ <= kExtensionMax ? Status::more : Status::malformed;
    case State::size_lf:
      if (c != '\n') return Status::malformed;
      digits_ = 0;
      extension_ = 0;
      if (size_ == 0) {
        state_ = State::trailer_start;
        return Status::more;
      }
      if (size_ > body_max_ - received_) return Status::too_large;
      received_ += static_cast<std::size_t>(size_);
      state_ = State::data;
      return Status::more;
    case State::data_cr:
      state_ = State::data_lf;
      return c == '\r' ? Status::more : Status::malformed;
    case State::data_lf:
      state_ = State::size;
      return c == '\n' ? Status::more : Status::malformed;
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::final_lf;
        return Status::more;
      }
      state_ = State::trailer;
      [[fallthrough]];
    case State::trailer:
      if (++trailer_ > kTrailerMax) return Status::malformed;
      if (c == '\r') {
        state_ = State::trailer_lf;
        return Status::more;
      }
      return is_text(c) ? Status::more : Status::malformed;
    case State::trailer_lf:
      state_ = State::trailer_start;
      return c == '\n' ? Status::more : Status::malformed;
    case State::final_lf:
      return c == '\n' ? Status::done : Status::malformed;
    case State::data:
      break;
  }
  return Status::malformed;
}

}  // namespace redoubt::wire
