// Integers and texts one behind the other, big-endian, each text after its length (4 bytes): what
// is sealed or stored by this program for itself. One spelling per value; a reader takes nothing
// that is cut off or has something left over.
#pragma once

#include "base/bytes.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace redoubt {

class PackedWriter {
 public:
  void integer(std::uint64_t value, int bytes = 8) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      out.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  }
  void signed_integer(std::int64_t value) { integer(static_cast<std::uint64_t>(value)); }
  void time(WallTime time) { signed_integer(time.ms); }
  void bytes(ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
  void text(std::string_view text) {
    integer(text.size(), 4);
    bytes(as_bytes(text));
  }
  Bytes out;
};

class PackedReader {
 public:
  explicit PackedReader(ByteView in) : in_(in) {}

  std::uint64_t integer(std::size_t size = 8) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8 | byte;
    return value;
  }
  std::int64_t signed_integer() { return static_cast<std::int64_t>(integer()); }
  WallTime time() { return WallTime{signed_integer()}; }
  // Empty when there are not as many.
  ByteView bytes(std::size_t size) {
    if (in_.size() < size) {
      failed_ = true;
      return {};
    }
    const ByteView taken = in_.first(size);
    in_ = in_.subspan(size);
    return taken;
  }
  std::string text() { return std::string(as_text(bytes(integer(4)))); }
  ByteView rest() const { return in_; }
  bool failed() const { return failed_; }
  bool complete() const { return !failed_ && in_.empty(); }

 private:
  ByteView in_;
  bool failed_ = false;
};

}  // namespace redoubt
