#include "shared/monitor.hpp"

#include "base/bytes.hpp"
#include "redis/classify.hpp"
#include "shared/set_if_newer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace redoubt::shared {
namespace {

using redis::Command;
using redis::Value;

constexpr Duration kLearnEvery{500};
constexpr Duration kProbeAwayEvery{500};
constexpr Duration kCanaryLife{5'000};
constexpr Duration kConnectWait{500};
// How long a Redis in use may wait for the record to say that it is another one by now.
constexpr Duration kSettleWait{1'000};
constexpr int kEraAttempts = 5;
constexpr int kLooks = 3;
constexpr int kStartRounds = 3;
constexpr const char* kLedElsewhere = "The address of Redis leads to another server by now.";
constexpr const char* kLeftBehind = "It is a Redis that was left behind for another one.";
constexpr const char* kUnsettled = "Which Redis it is could not be settled yet.";

// Of the form that set_if_newer.lua decides by.
std::string beat(std::int64_t canary) {
  return fmt::format("{:019}", canary);
}

// It is there and answers, but does not take this write: it is full, or we lack the right.
bool refuses_writes(const Error& error) {
  return error.slug == "redis_full" || redis::is_denied(error) || error.slug == "redis_error";
}

// A process and its data: a demoted master that is promoted again has a new replication id.
std::string server_of(const redis::ServerFacts& facts) {
  if (facts.run_id.empty()) return {};
  return facts.run_id + "/" + facts.replication_id;
}

std::vector<std::string> servers_of(const redis::ClientStatus& status) {
  std::vector<std::string> servers;
  for (const redis::NodeStatus& node : status.nodes) {
    if (node.replica || !node.connected) continue;
    servers.push_back(server_of(node.facts));
  }
  std::ranges::sort(servers);
  return servers;
}

Error not_admitted() {
  return unavailable("redis_not_admitted", "This server is not the Redis that the record knows.");
}

}  // namespace

Monitor::Monitor(const MonitorParts& parts, MonitorOptions options)
    : parts_(parts),
      options_(std::move(options)),
      moves_(parts.metrics.counter("redoubt_shared_generation_changes_total",
                                   "How often all keys of the shared tier were left behind.")),
      denied_(parts.random),
      script_denied_(parts.random),
      write_denied_(parts.random) {}

Task<void> Monitor::begin() {
  RD_CO_TRY(identity, co_await parts_.ledger.identity());
  identity_ = std::move(identity);
  RD_CO_CHECK(co_await begin_era());
  began_ = true;
  co_return Result<void>{};
}

Task<void> Monitor::start(Duration limit) {
  RD_CO_CHECK(co_await begin());
  static_cast<void>(co_await parts_.client.connected(limit));
  for (int round = 0; round < kStartRounds && (round == 0 || move_); ++round) {
    RD_CO_CHECK(co_await ask_record());
    RD_CO_CHECK(co_await run_once());
  }
  if (another_record_) {
    RD_CO_TRY(sight, co_await look());
    co_return fail(another_record(identity_, sight.mark));
  }
  co_return Result<void>{};
}

// Copies that were made before this process listened to the journal are of an era before this one.
Task<void> Monitor::begin_era() {
  RD_CO_CHECK(co_await learn());
  const std::int64_t found = page_.incarnation.era;
  for (int attempt = 0; attempt < kEraAttempts && page_.incarnation.era == found; ++attempt) {
    Incarnation next = page_.incarnation;
    ++next.era;
    RD_CO_TRY(replaced, co_await parts_.ledger.replace(page_.revision, std::move(next)));
    static_cast<void>(replaced);  // Another instance may have been faster: that does as well.
    RD_CO_CHECK(co_await learn());
  }
  co_return Result<void>{};
}

Task<void> Monitor::learn() {
  const BootTime began = parts_.clock.boot();
  learn_at_ = began + kLearnEvery;
  Eras& eras = parts_.state.eras();
  const Eras::Ticket poll = eras.poll_begins();
  RD_CO_TRY(page, co_await parts_.ledger.read());
  if (page.incarnation.era != page_.incarnation.era || era_since_ == BootTime{0}) {
    era_since_ = began;
  }
  learned_at_ = began;
  // Meanwhile nobody could say that he uses it: that does not count.
  const bool hung = parts_.clock.boot() - began >= kViewLife;
  // Whoever is connected to the one before must not use it under the new generation.
  const Incarnation& found = page.incarnation;
  if (found.generation != page_.incarnation.generation) admit_only({}, {});
  const bool moved = found.confirmations != page_.incarnation.confirmations ||
                     found.generation != page_.incarnation.generation;
  if (moved || hung || confirmed_at_ == BootTime{0}) confirmed_at_ = parts_.clock.boot();
  page_ = std::move(page);
  eras.poll_ended(poll, page_.incarnation.era);
  parts_.state.learned(page_.incarnation.generation, began);
  co_return Result<void>{};
}

Task<void> Monitor::advance_era(BootTime now) {
  if (now - era_since_ < options_.era) co_return Result<void>{};
  Incarnation next = page_.incarnation;
  ++next.era;
  RD_CO_TRY(replaced, co_await parts_.ledger.replace(page_.revision, std::move(next)));
  static_cast<void>(replaced);  // One of several instances is enough.
  co_return co_await learn();
}

Task<void> Monitor::ask_record() {
  if (!began_) {
    if (parts_.state.off()) co_return Result<void>{};
    const Result<void> begun = co_await begin();
    if (!begun) {
      parts_.state.canary_failed(begun.error());
      report();
      co_return Result<void>{};
    }
  }
  const BootTime now = parts_.clock.boot();
  if (now >= learn_at_) {
    // When the record cannot be asked the view grows old, and copies are not used with it. What is
    // known of Redis itself is kept up to date: limits go on there.
    const Result<void> learned = co_await learn();
    if (!learned) {
      confirmed_at_ = parts_.clock.boot();  // Nobody can say that he uses it: that does not count.
      co_return Result<void>{};
    }
    const Result<void> advanced = co_await advance_era(now);
    static_cast<void>(advanced);  // The next round tries again.
  }
  if (move_) {
    moving_ = true;
    const Result<void> moved = co_await move_on(*std::exchange(move_, std::nullopt));
    moving_ = false;
    static_cast<void>(moved);  // The next look tells.
  }
  co_await confirm();
  co_return Result<void>{};
}

Task<void> Monitor::run_once() {
  const BootTime now = parts_.clock.boot();
  report();
  if (!began_) co_return Result<void>{};
  if (parts_.state.off()) found_none();
  if (parts_.state.off() || now < probe_at_ || denied_.holds(now)) co_return Result<void>{};
  const bool away = parts_.state.status().state == Availability::away;
  probe_at_ = away ? now + kProbeAwayEvery : now;

  const Result<void> alive = co_await canary();
  parts_.state.probed(alive.has_value());
  if (!alive) {
    failed(alive.error());
    report();
    co_return Result<void>{};
  }
  const Result<std::string> closed = co_await reconcile();
  if (!closed) {
    failed(closed.error());
  } else if (!may_settle()) {
    parts_.state.canary_answered(closed->empty(), *closed, no_writes_);
  }
  if (parts_.state.status().state != Availability::away) probe_at_ = now;
  report();
  co_return Result<void>{};
}

void Monitor::failed(const Error& why) {
  found_none();
  if (!redis::is_denied(why)) return parts_.state.canary_failed(why);
  // It is no accident that may be over in a moment: nobody asks it until it is mended.
  denied_.found(parts_.clock.boot());
  parts_.state.refuse(why.message);
}

void Monitor::try_at_once() {
  denied_.forget();
  script_denied_.forget();
  write_denied_.forget();
  probe_at_ = BootTime{0};
}

Task<void> Monitor::canary() {
  const std::string key = std::string(kHeartbeatPrefix) + options_.instance;
  const std::string value = beat(++canary_);
  RD_CO_TRY(written, co_await beat_by_script(key, value));
  Command read = Command("GET").key(key).read_only();
  RD_CO_TRY(found, co_await parts_.client.probe(std::move(read)));
  if (written && found.text() != value) {
    co_return fail(unavailable("redis_canary", "Redis did not give back what was written to it."));
  }
  co_return Result<void>{};
}

Task<bool> Monitor::beat_by_script(const std::string& key, const std::string& value) {
  if (script_denied_.holds(parts_.clock.boot())) co_return false;
  const std::string life = std::to_string(kCanaryLife.count());
  const std::string_view keys[] = {key};
  const std::string_view arguments[] = {life, value};
  Command write = set_if_newer().command(keys, arguments);
  const Result<Value> written = co_await parts_.client.probe(std::move(write));
  if (!written && !refuses_writes(written.error())) co_return fail(written.error());
  if (!written && redis::is_denied(written.error())) script_denied_.found(parts_.clock.boot());
  no_writes_ = written ? std::string() : written.error().message;
  co_return written.has_value();
}

Task<Sight> Monitor::look() {
  Sight sight;
  // Every master of a cluster is to be seen, also one that was promoted since the last look:
  // workers are admitted to no other.
  RD_CO_CHECK(co_await parts_.client.connected(kConnectWait));
  // The canary has a connection of its own. The one that is looked at must take a write as well: a
  // master that was demoted reads on, and whoever stays with it never sees the one that took over.
  RD_CO_CHECK(co_await beat_plainly());
  Command read = Command("GET").key(kIncarnationKey).read_only();
  RD_CO_TRY(mark, co_await parts_.client.run(std::move(read)));
  if (mark.is_text()) sight.mark = mark.take_text();
  const redis::ClientStatus status = parts_.client.status();
  if (!status.connected) {
    co_return fail(unavailable("redis_unavailable", "The connection to Redis was lost."));
  }
  for (const std::string& server : servers_of(status)) {
    if (!sight.server.empty() && !server.empty()) sight.server += ' ';
    sight.server += server;
  }
  co_return sight;
}

Task<void> Monitor::beat_plainly() {
  if (write_denied_.holds(parts_.clock.boot())) co_return Result<void>{};
  const std::string key = std::string(kHeartbeatPrefix) + options_.instance;
  Command write =
      Command("SET").key(key).arg(beat(canary_)).arg("PX").arg(kCanaryLife.count()).repeatable();
  const Result<Value> written = co_await parts_.client.run(std::move(write));
  if (written) co_return Result<void>{};
  if (!refuses_writes(written.error())) co_return fail(written.error());
  if (redis::is_denied(written.error())) write_denied_.found(parts_.clock.boot());
  co_return Result<void>{};
}

Task<std::string> Monitor::reconcile() {
  for (int looks = 0; looks < kLooks; ++looks) {
    const std::int64_t generation = page_.incarnation.generation;
    RD_CO_TRY(sight, co_await look());
    // What was seen is older than what the record says by now.
    if (page_.incarnation.generation != generation) continue;
    co_return judged(sight);
  }
  co_return std::string(kUnsettled);
}

std::string Monitor::judged(const Sight& sight) {
  const Verdict verdict = judge(page_.incarnation, identity_, sight);
  // The mark may be about to be written.
  if (verdict != Verdict::same && moving_) return kUnsettled;
  another_record_ = verdict == Verdict::another_record;
  const bool unmarked_before = std::exchange(unmarked_before_, verdict == Verdict::unmarked);
  if (verdict == Verdict::same) {
    found_none();
    in_use_ = page_.incarnation.generation;
    admit_only(servers_of(parts_.client.status()), *sight.mark);
    return {};
  }
  if (verdict == Verdict::unmarked && !unmarked_before) {
    // Another instance may be about to write the mark: look again in the next round.
    found_none();
    return "Its mark is missing.";
  }
  admit_only({}, {});
  if (verdict == Verdict::another_record) {
    found_none();
    return another_record(identity_, sight.mark).message;
  }
  if (verdict == Verdict::retired && !is_unused()) {
    found_none();
    return kLeftBehind;
  }
  if (!no_writes_.empty()) {
    found_none();
    return no_writes_;  // It could not be marked.
  }
  in_use_ = 0;
  if (unsettled_since_ == BootTime{0}) unsettled_since_ = parts_.clock.boot();
  move_ = Move{page_, sight};
  return kUnsettled;
}

void Monitor::found_none() {
  move_.reset();
  in_use_ = 0;
  unsettled_since_ = BootTime{0};
}

bool Monitor::may_settle() const {
  return (move_ || moving_) && parts_.state.reachable() &&
         parts_.clock.boot() - unsettled_since_ < kSettleWait;
}

boost::asio::awaitable<void> Monitor::confirm() {
  const bool ours = in_use_ != 0 && in_use_ == page_.incarnation.generation;
  if (!ours || parts_.clock.boot() - confirmed_at_ < kConfirmEvery) co_return;
  Incarnation next = page_.incarnation;
  ++next.confirmations;
  // Without the record it is not said, and nobody can take another one either.
  const auto said = co_await parts_.ledger.replace(page_.revision, std::move(next));
  if (said) static_cast<void>(co_await learn());
}

bool Monitor::is_unused() const {
  const BootTime now = parts_.clock.boot();
  return now - learned_at_ < kViewLife && now - confirmed_at_ >= kUnusedAfter;
}

Task<void> Monitor::move_on(Move move) {
  const Incarnation& known = move.page.incarnation;
  const Sight& sight = move.sight;
  std::array<std::uint8_t, 8> nonce{};
  parts_.random.fill(nonce);
  Incarnation next = next_incarnation(known, sight, to_hex(nonce));
  const Mark mark{identity_, next.generation, next.nonce};
  // On the page that was judged: when the record has another one by now, it is judged anew.
  RD_CO_TRY(won, co_await parts_.ledger.replace(move.page.revision, std::move(next)));
  RD_CO_CHECK(co_await learn());
  if (!won) co_return Result<void>{};
  moves_.add();
  parts_.log.warn("shared.generation_changed",
                  {{"generation", mark.generation}, {"server", sight.server}});
  // Where no mark is, another record's instance may be writing its own.
  Command write = Command("SET").key(kIncarnationKey).arg(encode_mark(mark));
  if (!sight.mark) write.arg("NX");
  RD_CO_TRY(written, co_await parts_.client.run(std::move(write)));
  static_cast<void>(written);  // The next look tells.
  co_return Result<void>{};
}

void Monitor::admit_only(std::vector<std::string> servers, std::string mark) {
  const std::lock_guard lock(mutex_);
  servers_ = std::move(servers);
  mark_ = std::move(mark);
}

Result<void> Monitor::admit(const redis::ServerFacts& facts) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(servers_, server_of(facts)) == servers_.end()) {
    led_elsewhere_ = led_elsewhere_ || !servers_.empty();
    return fail(not_admitted());
  }
  if (!facts.identity.empty() && facts.identity != mark_) return fail(not_admitted());
  return {};
}

Result<void> Monitor::watches(const redis::ServerFacts& facts) {
  const std::string server = server_of(facts);
  const bool left =
      std::ranges::find(page_.incarnation.retired, server) != page_.incarnation.retired.end();
  if (left && !server.empty() && !is_unused()) {
    return fail(unavailable("redis_not_admitted", kLeftBehind));
  }
  const bool in_use = parts_.client.status().connected;
  const std::lock_guard lock(mutex_);
  if (in_use && led_elsewhere_) return fail(unavailable("redis_not_admitted", kLedElsewhere));
  led_elsewhere_ = false;
  return {};
}

// One line for each change, also of those that came and went between two rounds.
void Monitor::report() {
  for (const SharedTransition& change : parts_.state.take_transitions()) {
    const bool good = change.to == "normal" || change.to == "not_configured";
    const LogLevel level = another_record_ ? LogLevel::error
                           : good          ? LogLevel::info
                                           : LogLevel::warn;
    parts_.log.write(level, "shared.state_changed",
                     {{"from", change.from},
                      {"to", change.to},
                      {"reason", change.reason},
                      {"lasted_ms", change.lasted.count()}});
  }
}

}  // namespace redoubt::shared
