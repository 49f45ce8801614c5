#include "services/cache/invalidator.hpp"

#include "record/reach_keys.hpp"
#include "services/cache/names.hpp"
#include "services/cache/units.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::cache {
namespace {

record::AuditEvent audit_of(const Context& context) {
  record::AuditEvent audit;
  audit.tenant = context.caller.tenant;
  audit.principal = context.caller.principal;
  audit.action = "cache.cleared";
  audit.target = "cache";
  audit.request_id = context.request_id;
  audit.address = context.client_address;
  return audit;
}

}  // namespace

std::vector<std::string> names_of(const CacheInvalidation& request) {
  std::vector<std::string> names;
  for (const std::string& tag : request.tags) names.push_back(tag_name(tag));
  for (const std::string& prefix : request.prefixes) names.push_back(prefix_name(prefix));
  for (const std::string& pattern : request.patterns) names.push_back(pattern_name(pattern));
  if (request.everything) names.emplace_back();
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  if (names.front().empty()) names.resize(1);
  return names;
}

Task<CacheInvalidated> Invalidator::invalidate(const Context& context,
                                               std::vector<std::string> asked, bool best_effort) {
  const std::vector<std::string> names = widened(context, std::move(asked));
  CacheInvalidated done;
  done.bumped = names.size();
  done.everything = names.front().empty();
  auto generation = co_await bump(context, names);
  if (generation) {
    done.generation = *generation;
    log_.debug("cache.invalidated", {{"tenant", context.caller.tenant},
                                     {"generation", done.generation},
                                     {"names", names.size()}});
  } else {
    const bool held = best_effort && is_away(generation.error()) &&
                      engine_.best_effort().accept(names, audit_of(context));
    if (!held) co_return fail(std::move(generation).error());
    done.recorded = false;
    context.note(Downgrade::cache_best_effort);
    log_.info("cache.invalidated_at_best_effort",
              {{"tenant", context.caller.tenant}, {"names", names.size()}});
  }
  for (const std::string& name : names) engine_.count_invalidation(name);
  co_return done;
}

std::vector<std::string> Invalidator::widened(const Context& context,
                                              std::vector<std::string> names) {
  const auto globs = static_cast<std::size_t>(
      std::ranges::count_if(names, [](const auto& n) { return n.starts_with(kGlobName); }));
  if (engine_.would_overflow(context.caller.tenant, names.size() - globs, globs)) {
    names.assign(1, {});
  }
  return names;
}

// One transaction.
Task<std::int64_t> Invalidator::bump(const Context& context, std::vector<std::string> names) {
  std::function<Task<std::int64_t>(record::Unit&)> work =
      [names = std::move(names), audit = audit_of(context),
       now = engine_.wall()](record::Unit& unit) { return bump_unit(unit, names, audit, now); };
  record::Reach reach{context.caller.tenant, {record::reach::cache(context.caller.tenant)}};
  co_return co_await record_.write(record::with_deadline_of(context, std::move(reach)),
                                   std::move(work));
}

// Not so of one that has too much to do: who asks again later is served.
bool Invalidator::is_away(const Error& error) const {
  const std::string_view slug = slug_of(error);
  if (slug == "record_unavailable" || slug == "record_outcome_unknown") return true;
  return record_.cut_off() && error.code == Errc::deadline_exceeded;
}

}  // namespace redoubt::cache
