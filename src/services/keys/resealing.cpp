#include "services/keys/resealing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace redoubt::keys {
namespace {

// How often rows are looked for that arrived under an old key after the last round.
constexpr std::chrono::minutes kCountEvery{1};
// How often what was unreadable is tried again, and at most reported again.
constexpr std::chrono::hours kTryAgain{1};

}  // namespace

Resealing::Resealing(KeyNeeds& needs, Vault& vault, const Clock& clock, Log& log, Metrics& metrics)
    : needs_(needs),
      vault_(vault),
      clock_(clock),
      log_(log),
      resealed_total_(metrics.counter("redoubt_keys_resealed_rows_total",
                                      "Rows sealed again under a new primary key.")),
      remaining_gauge_(metrics.gauge(
          "redoubt_keys_rows_remaining",
          "Rows under another key than the primary, still to be sealed again, when last counted.")),
      unreadable_gauge_(metrics.gauge(
          "redoubt_keys_rows_unreadable",
          "Rows under another key than the primary that do not open, when last counted.")) {}

void Resealing::begin() {
  const std::lock_guard lock(mutex_);
  running_ = true;
  fresh_ = true;
  resealed_ = 0;
  unreadable_ = 0;
  trouble_.clear();
}

Resealing::Progress Resealing::progress() {
  const std::lock_guard lock(mutex_);
  return {running_, resealed_, trouble_};
}

bool Resealing::has_unreadable() {
  const std::lock_guard lock(mutex_);
  return unreadable_ > 0;
}

Task<OtherRows> Resealing::other_rows() {
  RD_CO_TRY(rows, co_await needs_.rows_under_others(vault_.primary()));
  OtherRows others;
  {
    const std::lock_guard lock(mutex_);
    others.unreadable = std::min(rows, unreadable_);
  }
  others.remaining = rows - others.unreadable;
  remaining_gauge_.set(static_cast<double>(others.remaining));
  unreadable_gauge_.set(static_cast<double>(others.unreadable));
  co_return others;
}

Task<bool> Resealing::run_once(std::size_t batch) {
  RD_CO_TRY(due, co_await is_due());
  if (!due) co_return false;
  RD_CO_CHECK(co_await take_up());
  RD_CO_TRY(done, co_await step(batch));
  if (!done) co_return true;
  co_return co_await finish();
}

// Also when nothing is running: rows may have arrived, and what did not open may open now.
Task<bool> Resealing::is_due() {
  bool try_again = false;
  {
    const std::lock_guard lock(mutex_);
    if (running_) co_return true;
    const BootTime now = clock_.boot();
    if (counted_at_ && now - *counted_at_ < kCountEvery) co_return false;
    counted_at_ = now;
    try_again = unreadable_ > 0 && (!ended_at_ || now - *ended_at_ >= kTryAgain);
  }
  RD_CO_TRY(others, co_await other_rows());
  if (others.remaining == 0 && !try_again) co_return false;
  begin();
  co_return true;
}

// The parts of a round that has just begun.
Task<void> Resealing::take_up() {
  {
    const std::lock_guard lock(mutex_);
    if (!fresh_) co_return Result<void>{};
  }
  const KeyId primary = vault_.primary();
  RD_CO_TRY(used, co_await needs_.in_use());
  parts_.clear();
  passed_by_.clear();
  for (record::Resealable* noun : needs_.nouns()) {
    for (const KeyId& id : used) {
      if (id == primary) continue;
      parts_.push_back({.noun = noun, .under = id, .after = {}, .example = {}});
    }
  }
  const std::lock_guard lock(mutex_);
  fresh_ = vault_.primary() != primary;  // Another rotation came meanwhile.
  co_return Result<void>{};
}

// True: every row was looked at.
Task<bool> Resealing::step(std::size_t batch) {
  std::optional<Error> failure;
  std::vector<Part> left;
  for (Part& part : parts_) {
    auto done = co_await step_part(part, batch);
    if (!done) {
      failure = std::move(done).error();
      set_trouble(fmt::format("{}: {}", part.noun->name(),
                              failure->cause.empty() ? failure->message : failure->cause));
    }
    if (done && *done && part.unreadable > 0) passed_by_.push_back(part);
    if (!done || !*done) left.push_back(std::move(part));
  }
  parts_ = std::move(left);
  if (failure) co_return fail(std::move(*failure));
  set_trouble({});
  co_return parts_.empty();
}

Task<bool> Resealing::step_part(Part& part, std::size_t batch) {
  record::ResealStep step{part.under, vault_.primary(), part.after, batch};
  RD_CO_TRY(progress, co_await part.noun->reseal_some(std::move(step)));
  part.after = std::move(progress.last);
  part.unreadable += progress.unreadable;
  if (part.example.empty()) part.example = std::move(progress.example);
  resealed_total_.add(static_cast<std::uint64_t>(progress.resealed));
  const std::lock_guard lock(mutex_);
  resealed_ += progress.resealed;
  unreadable_ += progress.unreadable;
  co_return progress.done;
}

// The end of a round; true: rows were changed or arrived behind it, so another one begins.
Task<bool> Resealing::finish() {
  RD_CO_TRY(others, co_await other_rows());
  if (others.remaining > 0) {
    const std::lock_guard lock(mutex_);
    fresh_ = true;
    unreadable_ = 0;
    co_return true;
  }
  end();
  co_return false;
}

void Resealing::end() {
  std::int64_t rows = 0;
  {
    const std::lock_guard lock(mutex_);
    if (fresh_) return;  // Begun anew meanwhile.
    running_ = false;
    ended_at_ = clock_.boot();
    rows = resealed_;
  }
  log_.info("keyring.resealed", {{"primary", format_key_id(vault_.primary())}, {"rows", rows}});
  report_unreadable();
}

void Resealing::report_unreadable() {
  std::string text;
  for (const Part& part : passed_by_) {
    text +=
        fmt::format("{}{} {} under key {} do not open, for example {}", text.empty() ? "" : "; ",
                    part.unreadable, part.noun->name(), format_key_id(part.under), part.example);
  }
  const BootTime now = clock_.boot();
  const bool news = text != reported_ || now - reported_at_ >= kTryAgain;
  if (!text.empty() && news) {
    log_.warn("keyring.reseal.unreadable", {{"rows", text}});
    reported_at_ = now;
  }
  reported_ = text;
  const std::lock_guard lock(mutex_);
  if (!running_) trouble_ = std::move(text);
}

void Resealing::set_trouble(std::string trouble) {
  bool news = false;
  {
    const std::lock_guard lock(mutex_);
    news = trouble_ != trouble;
    trouble_ = trouble;
  }
  if (news && !trouble.empty()) log_.warn("keyring.reseal.stuck", {{"cause", trouble}});
}

}  // namespace redoubt::keys
