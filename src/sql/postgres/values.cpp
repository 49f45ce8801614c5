#include "sql/postgres/values.hpp"

#include <fmt/format.h>

#include <bit>
#include <utility>

namespace redoubt::sql::postgres {
namespace {

// Object identifiers of the types, fixed since PostgreSQL's beginnings (catalog/pg_type.dat).
constexpr unsigned kBool = 16;
constexpr unsigned kBytea = 17;
constexpr unsigned kName = 19;
constexpr unsigned kInt8 = 20;
constexpr unsigned kInt2 = 21;
constexpr unsigned kInt4 = 23;
constexpr unsigned kText = 25;
constexpr unsigned kFloat8 = 701;
constexpr unsigned kUnknown = 705;
constexpr unsigned kVarchar = 1043;
constexpr unsigned kVoid = 2278;
constexpr unsigned kXid8 = 5069;

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = (value << 8) | static_cast<std::uint8_t>(byte);
  return value;
}

void append_big_endian(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

Result<Value> wrong_size(unsigned type, std::size_t size) {
  return fail(internal(fmt::format("a column of type {} has {} bytes", type, size)));
}

}  // namespace

Params::Params(std::span<const Param> params) {
  slots_.reserve(params.size());
  for (const Param& param : params) {
    Slot slot;
    slot.offset = bytes_.size();
    if (const auto* number = std::get_if<std::int64_t>(&param)) {
      slot.type = kInt8;
      append_big_endian(bytes_, static_cast<std::uint64_t>(*number));
    } else if (const auto* text = std::get_if<std::string_view>(&param)) {
      slot.type = kText;
      bytes_.append(*text);
    } else if (const auto* bytes = std::get_if<ByteView>(&param)) {
      slot.type = kBytea;
      bytes_.append(as_text(*bytes));
    }
    slot.length = bytes_.size() - slot.offset;
    slots_.push_back(slot);
  }
}

Params::Arrays Params::arrays() const {
  Arrays arrays;
  for (const Slot& slot : slots_) {
    arrays.types.push_back(slot.type);
    arrays.values.push_back(slot.type == 0 ? nullptr : bytes_.data() + slot.offset);
    arrays.lengths.push_back(static_cast<int>(slot.length));
    arrays.formats.push_back(1);
  }
  return arrays;
}

Result<Value> decode(unsigned type, std::string_view bytes) {
  switch (type) {
    case kInt8:
    case kXid8:
      if (bytes.size() != 8) return wrong_size(type, bytes.size());
      return static_cast<std::int64_t>(big_endian(bytes));
    case kInt4:
      if (bytes.size() != 4) return wrong_size(type, bytes.size());
      return std::int64_t{static_cast<std::int32_t>(big_endian(bytes))};
    case kInt2:
      if (bytes.size() != 2) return wrong_size(type, bytes.size());
      return std::int64_t{static_cast<std::int16_t>(big_endian(bytes))};
    case kBool:
      if (bytes.size() != 1) return wrong_size(type, bytes.size());
      return std::int64_t{bytes[0] != 0 ? 1 : 0};
    case kFloat8:
      if (bytes.size() != 8) return wrong_size(type, bytes.size());
      return std::bit_cast<double>(big_endian(bytes));
    case kText:
    case kVarchar:
    case kName:
    case kUnknown:
      return std::string(bytes);
    case kBytea: {
      const ByteView view = as_bytes(bytes);
      return Bytes(view.begin(), view.end());
    }
    case kVoid:
      return std::monostate{};
    default:
      return fail(internal(fmt::format("a statement yields a column of type {}", type)));
  }
}

}  // namespace redoubt::sql::postgres
