#include "tests/sim/history.hpp"

#include <fmt/format.h>

#include <array>

namespace redoubt::sim {
namespace {

constexpr std::uint64_t kPrime = 1'099'511'628'211;

class Digest {
 public:
  void add(std::int64_t number) {
    value_ = (value_ ^ static_cast<std::uint64_t>(number)) * kPrime;
    value_ ^= value_ >> 29;
  }
  void add(std::string_view text) {
    for (const char c : text) add(std::int64_t{c});
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14'695'981'039'346'656'037U;
};

double seconds(Nanos time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string_view deed_name(Deed deed) {
  constexpr std::array<std::string_view, 12> kNames{
      "create",  "verify",  "update", "revoke", "revoke_all", "make_key",
      "use_key", "end_key", "check",  "get",    "put",        "invalidate"};
  return kNames[static_cast<std::size_t>(deed)];
}

std::string_view outcome_name(Outcome outcome) {
  constexpr std::array<std::string_view, 3> kNames{"ok", "refused", "unknown"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string describe(const Operation& op) {
  std::string text = fmt::format(
      "{:9.4f}..{:.4f} instance {}.{} tenant {} {} {} -> {} value {}{}{}{}", seconds(op.begun),
      seconds(op.ended), op.instance, op.run, op.tenant, deed_name(op.deed), op.object,
      outcome_name(op.outcome), op.value, op.degraded ? " by share" : "",
      op.by_grace ? " by grace" : "", op.held ? " held" : "");
  if (op.deed == Deed::check) {
    text += fmt::format(" cost {} of {} instances, {} left", op.cost, op.instances, op.remaining);
  }
  return text;
}

std::string describe(const Charge& charge, const LimitFact& limit) {
  return fmt::format("{:9.4f} server {} memory {} generation {} clock {:.4f} instance {}.{} {} {} us"
                     " -> {}",
                     seconds(charge.at), charge.server, charge.memory, charge.generation,
                     static_cast<double>(charge.clock_us % 1'000'000'000) / 1e6, charge.instance,
                     charge.run, limit.name, charge.price_us,
                     charge.charged ? "charged" : "refused");
}

std::uint64_t History::digest() const {
  Digest digest;
  for (const Operation& op : operations) {
    digest.add(static_cast<std::int64_t>(op.deed));
    digest.add(static_cast<std::int64_t>(op.outcome));
    digest.add(op.instance);
    digest.add(op.object);
    digest.add(op.value);
    digest.add(op.remaining);
    digest.add(op.begun.count());
    digest.add(op.ended.count());
  }
  for (const Charge& charge : charges) {
    digest.add(charge.at.count());
    digest.add(charge.clock_us);
    digest.add(charge.limit);
    digest.add(std::int64_t{charge.charged});
  }
  for (const auto& [id, session] : final_sessions) {
    digest.add(id);
    digest.add(session.version);
  }
  return digest.value();
}

}  // namespace redoubt::sim
