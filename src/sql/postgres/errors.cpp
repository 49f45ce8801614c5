#include "sql/postgres/errors.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace redoubt::sql::postgres {
namespace {

constexpr std::string_view kShuttingDown = "database is shutting down";
constexpr std::string_view kCrashed = "database crashed and is restarting";
constexpr std::string_view kStarting = "database is starting or stopping";

struct Meaning {
  std::string_view sqlstate;  // All five characters, or the two of a class.
  std::string_view reason;
};

// The longer ones first: the first that fits is taken.
constexpr auto kReasons = std::to_array<Meaning>({
    {"25006", kReadOnly},
    {"40001", "write conflict"},
    {"40P01", "write conflict"},
    {"53100", "disk full"},
    {"53200", "out of memory"},
    {"53300", "too many connections"},
    {"55P03", "locked for too long"},
    {"57014", "statement took too long"},
    {"57P01", kShuttingDown},
    {"57P02", kCrashed},
    {"57P03", kStarting},
    {"57P05", "connection was idle for too long"},
    {"58030", "I/O error"},
    {"25P03", "transaction was idle for too long"},
    {"3D000", "database does not exist"},
    {"08", kUnreachable},
    {"28", "login refused"},
    {"53", "database is out of resources"},
    {"58", "system error"},
});

std::string_view reason_of(std::string_view sqlstate) {
  for (const Meaning& meaning : kReasons) {
    if (sqlstate.starts_with(meaning.sqlstate)) return meaning.reason;
  }
  return {};
}

}  // namespace

Failure classify(std::string_view sqlstate, std::string cause) {
  cause = fmt::format("{} (sqlstate {})", cause, sqlstate);
  if (sqlstate == "XX001" || sqlstate == "XX002") {
    return {Error(Errc::internal, "record_corrupt",
                  "The record's database is damaged; restore it from a backup.", std::move(cause)),
            "database damaged", false};
  }
  if (const std::string_view reason = reason_of(sqlstate); !reason.empty()) {
    Failure failure = unreachable(reason, std::move(cause));
    failure.conflict = sqlstate == "40001" || sqlstate == "40P01";
    if (failure.conflict) failure.reason = {};  // The database works.
    return failure;
  }
  if (sqlstate.starts_with("23")) {
    return {Error(Errc::conflict, "constraint", "The change contradicts what is already stored.",
                  std::move(cause)),
            {},
            false};
  }
  return {internal(std::move(cause)), {}, false};
}

bool concerns_the_way(std::string_view reason) {
  return reason == kUnreachable || reason == kSilent || reason == kShuttingDown ||
         reason == kCrashed || reason == kStarting;
}

Failure unreachable(std::string_view reason, std::string cause) {
  Error error =
      unavailable("record_unavailable", fmt::format("The record is unavailable: {}.", reason),
                  std::move(cause));
  error.retry_after = std::chrono::seconds(1);
  return {std::move(error), reason, false};
}

}  // namespace redoubt::sql::postgres
