#include "services/limits/strict_memory.hpp"

#include <memory>
#include <variant>

namespace redoubt::limits {
namespace {

using local::AdmissionLog;
using local::GcraMemory;
using local::Int128;
using local::LimitMemory;
using local::LimitRule;
using local::SlidingLogMemory;
using local::SlidingWindowMemory;
using local::WindowMemory;

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderSize = 1 + 1 + 8 + 8;

void put(Bytes& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(bits >> shift & 0xff));
  }
}

std::int64_t get(ByteView bytes, std::size_t index) {
  std::uint64_t bits = 0;
  for (const std::uint8_t byte : bytes.subspan(index * 8, 8)) bits = bits << 8 | byte;
  return static_cast<std::int64_t>(bits);
}

struct Encoder {
  const LimitRule& rule;
  Bytes& out;

  void operator()(const GcraMemory& memory) const {
    put(out, static_cast<std::int64_t>(memory.tat() / rule.limit));
    put(out, static_cast<std::int64_t>(memory.tat() % rule.limit));
  }
  void operator()(const SlidingWindowMemory& memory) const {
    put(out, memory.start);
    put(out, memory.current);
    put(out, memory.previous);
  }
  void operator()(const SlidingLogMemory& memory) const {
    if (!memory.log) return;
    for (const local::Admission& admission : memory.log->live()) {
      put(out, admission.at);
      put(out, admission.cost);
    }
  }
  void operator()(const WindowMemory& memory) const {
    put(out, memory.start);
    put(out, memory.used);
  }
};

// The fields of `fields` read into the alternative that `memory` holds; false when they do not fit.
struct Decoder {
  const LimitRule& rule;
  std::int64_t old_limit;
  ByteView fields;

  bool holds(std::size_t numbers) const { return fields.size() == numbers * 8; }

  bool operator()(GcraMemory& memory) const {
    if (!holds(2)) return false;
    // In the units of the limit it was written under; rounded up, so that nothing is given back.
    const Int128 part = static_cast<Int128>(get(fields, 1)) * rule.limit;
    const Int128 rounded = (part + old_limit - 1) / old_limit;
    memory.set_tat(static_cast<Int128>(get(fields, 0)) * rule.limit + rounded);
    return true;
  }
  bool operator()(SlidingWindowMemory& memory) const {
    if (!holds(3)) return false;
    memory = {get(fields, 0), get(fields, 1), get(fields, 2)};
    return memory.current >= 0 && memory.previous >= 0;
  }
  bool operator()(SlidingLogMemory& memory) const {
    if (fields.size() % 16 != 0) return false;
    memory.log = std::make_unique<AdmissionLog>();
    local::Nanos newest = INT64_MIN;
    for (std::size_t i = 0; i < fields.size() / 8; i += 2) {
      const local::Admission admission{get(fields, i), get(fields, i + 1)};
      if (admission.at < newest || admission.cost <= 0) return false;
      newest = admission.at;
      memory.log->append(admission);
    }
    return true;
  }
  bool operator()(WindowMemory& memory) const {
    if (!holds(2)) return false;
    memory = {get(fields, 0), get(fields, 1)};
    return memory.used >= 0;
  }
};

Unexpected unreadable() {
  return fail(internal("rd_limit: memory of a strict limit is not readable"));
}

}  // namespace

Bytes encode_memory(const LimitRule& rule, const LimitMemory& memory) {
  Bytes out;
  out.reserve(kHeaderSize + 24);
  out.push_back(kVersion);
  out.push_back(static_cast<std::uint8_t>(rule.algorithm));
  put(out, rule.limit);
  put(out, rule.period);
  std::visit(Encoder{rule, out}, memory);
  return out;
}

Result<LimitMemory> decode_memory(const LimitRule& rule, ByteView bytes) {
  if (bytes.size() < kHeaderSize || bytes[0] != kVersion) return unreadable();
  const ByteView numbers = bytes.subspan(2);
  const std::int64_t old_limit = get(numbers, 0);
  if (old_limit < 1) return unreadable();
  LimitMemory memory = local::fresh_memory(rule);
  const bool same_kind = bytes[1] == static_cast<std::uint8_t>(rule.algorithm);
  if (!same_kind || get(numbers, 1) != rule.period) return memory;
  const Decoder decoder{rule, old_limit, bytes.subspan(kHeaderSize)};
  if (!std::visit(decoder, memory)) return unreadable();
  return memory;
}

}  // namespace redoubt::limits
