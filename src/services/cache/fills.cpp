#include "services/cache/fills.hpp"

#include "base/bytes.hpp"
#include "services/cache/tenant_cache.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::cache {
namespace {

void ring_all(const std::vector<std::shared_ptr<Alarm>>& alarms) {
  for (const auto& alarm : alarms) alarm->ring();
}

}  // namespace

bool Fills::is_held(const Shard& shard, Table::const_iterator it, std::string_view token) {
  return it != shard.fills.end() && !token.empty() && token != kNobody && it->second.token == token;
}

std::string Fills::new_token() {
  std::array<std::uint8_t, 16> bytes;
  random_.fill(bytes);
  return to_hex(bytes);
}

void Fills::grant(Shard& shard, const Hash128& id, Fill& fill, Duration lease, BootTime now) {
  fill.token = new_token();
  fill.moment = fill.tenant->generations.moment();
  fill.version = next_version_();
  fill.elsewhere.reset();
  fill.until = now + lease;
  shard.expiries.emplace(fill.until, id);
}

// To the longest waiter, or to nobody.
void Fills::hand_on(Shard& shard, Table::iterator it, BootTime now, Alarms& alarms) {
  Fill& fill = it->second;
  if (fill.waiters.empty()) return end_at(shard, it, alarms);
  const FillWaiterPtr next = std::move(fill.waiters.front());
  fill.waiters.pop_front();
  grant(shard, it->first, fill, next->lease, now);
  next->token = fill.token;
  alarms.push_back(next->alarm);
  if (!fill.waiters.empty()) alarms.push_back(fill.waiters.front()->alarm);  // It watches now.
}

void Fills::end_at(Shard& shard, Table::iterator it, Alarms& alarms) {
  for (const FillWaiterPtr& waiter : it->second.waiters) alarms.push_back(waiter->alarm);
  it->second.tenant->fills.fetch_sub(1, std::memory_order_relaxed);
  shard.fills.erase(it);
}

FillStep Fills::queue(Fill& fill, const Wanted& wanted) {
  if (!wanted.waiter || fill.waiters.size() >= kWaitersMax) return {.state = FillState::busy};
  fill.waiters.push_back(wanted.waiter);
  const bool in_front = fill.waiters.size() == 1;
  return {.state = FillState::waiting, .until = in_front ? fill.until : BootTime{INT64_MAX}};
}

FillStep Fills::join(const Wanted& wanted, BootTime now) {
  Alarms alarms;
  FillStep step;
  {
    Shard& shard = shard_of(wanted.id);
    const std::lock_guard lock(shard.mutex);
    purge(shard, now, kPurge);
    auto it = shard.fills.find(wanted.id);
    if (it == shard.fills.end()) {
      if (wanted.tenant.fills.load(std::memory_order_relaxed) >= kTenantMax) return step;
      wanted.tenant.fills.fetch_add(1, std::memory_order_relaxed);
      it = shard.fills.emplace(wanted.id, Fill{.tenant = &wanted.tenant}).first;
      it->second.until = now;
    }
    Fill& fill = it->second;
    const bool resting = fill.token.empty() && now < fill.until && wanted.has_stale;
    if (resting) return {.state = FillState::resting};
    if (now >= fill.until && !fill.waiters.empty()) hand_on(shard, it, now, alarms);
    if (fill.token.empty() || now >= fill.until) {
      grant(shard, wanted.id, fill, wanted.lease, now);
      step = {.state = FillState::granted, .token = fill.token};
    } else {
      step = queue(fill, wanted);
    }
  }
  ring_all(alarms);
  return step;
}

FillStep Fills::next(const Hash128& id, const FillWaiterPtr& waiter, BootTime now) {
  Alarms alarms;
  FillStep step{.state = FillState::changed};
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    if (!waiter->token.empty()) return {.state = FillState::granted, .token = waiter->token};
    const auto it = shard.fills.find(id);
    if (it == shard.fills.end()) return step;
    Fill& fill = it->second;
    const auto place = std::ranges::find(fill.waiters, waiter);
    if (place == fill.waiters.end()) return step;
    const bool in_front = place == fill.waiters.begin();
    if (in_front && now >= fill.until) {
      hand_on(shard, it, now, alarms);
      step = {.state = FillState::granted, .token = waiter->token};
    } else {
      step = {.state = FillState::waiting, .until = in_front ? fill.until : BootTime{INT64_MAX}};
    }
  }
  ring_all(alarms);
  return step;
}

void Fills::leave(const Hash128& id, const FillWaiterPtr& waiter, BootTime now) noexcept {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (it == shard.fills.end()) return;
    Fill& fill = it->second;
    if (!waiter->token.empty()) {
      if (fill.token == waiter->token) hand_on(shard, it, now, alarms);
    } else if (const auto place = std::ranges::find(fill.waiters, waiter);
               place != fill.waiters.end()) {
      const bool in_front = place == fill.waiters.begin();
      fill.waiters.erase(place);
      if (fill.waiters.empty()) {
        if (now >= fill.until) end_at(shard, it, alarms);
      } else if (in_front) {
        alarms.push_back(fill.waiters.front()->alarm);
      }
    }
  }
  ring_all(alarms);
}

std::optional<Generations::Stamp> Fills::stamp_of(const Hash128& id, std::string_view token,
                                                  BootTime now) const {
  const auto moment = moment_of(id, token, now);
  if (!moment) return std::nullopt;
  return moment->at;
}

std::optional<Generations::Moment> Fills::moment_of(const Hash128& id, std::string_view token,
                                                    BootTime now) const {
  const Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.fills.find(id);
  if (!is_held(shard, it, token) || now >= it->second.until) return std::nullopt;
  return it->second.moment;
}

std::int64_t Fills::version_of(const Hash128& id, std::string_view token) const {
  const Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.fills.find(id);
  return is_held(shard, it, token) ? it->second.version : next_version_();
}

bool Fills::renew(const Hash128& id, std::string_view token, Duration lease,
                  const std::shared_ptr<Alarm>& alarm, BootTime now) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.fills.find(id);
  if (!is_held(shard, it, token) || now >= it->second.until) return false;
  Fill& fill = it->second;
  fill.moment = fill.tenant->generations.moment();
  fill.version = next_version_();
  fill.elsewhere = alarm;
  fill.until = now + lease;
  shard.expiries.emplace(fill.until, id);
  return true;
}

void Fills::stir(const Hash128& id) {
  std::shared_ptr<Alarm> alarm;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (it != shard.fills.end()) alarm = it->second.elsewhere;
  }
  if (alarm) alarm->ring();
}

void Fills::finish(const Hash128& id, std::string_view token) {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (!is_held(shard, it, token)) return;
    end_at(shard, it, alarms);
  }
  ring_all(alarms);
}

bool Fills::pass_on(const Hash128& id, std::string_view token, BootTime now) noexcept {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (!is_held(shard, it, token)) return false;
    hand_on(shard, it, now, alarms);
  }
  ring_all(alarms);
  return true;
}

bool Fills::rest(const Hash128& id, std::string_view token, BootTime until, BootTime now) {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (!is_held(shard, it, token) || now >= it->second.until) return false;
    Fill& fill = it->second;
    for (const FillWaiterPtr& waiter : fill.waiters) alarms.push_back(waiter->alarm);
    fill.waiters.clear();
    fill.token.clear();
    fill.until = until;
    shard.expiries.emplace(until, id);
  }
  ring_all(alarms);
  return true;
}

bool Fills::is_resting(const Hash128& id, BootTime now) const {
  const Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.fills.find(id);
  return it != shard.fills.end() && it->second.token.empty() && now < it->second.until;
}

void Fills::revoke(const Hash128& id) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.fills.find(id);
  if (it != shard.fills.end()) it->second.token = kNobody;
}

void Fills::end(const Hash128& id) {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (it == shard.fills.end()) return;
    end_at(shard, it, alarms);
  }
  ring_all(alarms);
}

void Fills::revoke_and_pass_on(const Hash128& id, BootTime now) {
  Alarms alarms;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.fills.find(id);
    if (it == shard.fills.end()) return;
    hand_on(shard, it, now, alarms);
  }
  ring_all(alarms);
}

std::size_t Fills::purge(Shard& shard, BootTime now, std::size_t batch) {
  std::size_t forgotten = 0;
  while (forgotten < batch && !shard.expiries.empty() && shard.expiries.begin()->first <= now) {
    const auto it = shard.fills.find(shard.expiries.begin()->second);
    shard.expiries.erase(shard.expiries.begin());
    ++forgotten;
    // Waiters see to an expired lease themselves; a newer lease of the key has its own expiry.
    if (it == shard.fills.end() || it->second.until > now || !it->second.waiters.empty()) continue;
    it->second.tenant->fills.fetch_sub(1, std::memory_order_relaxed);
    shard.fills.erase(it);
  }
  return forgotten;
}

std::size_t Fills::sweep(BootTime now, std::size_t batch) {
  std::size_t forgotten = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    forgotten += purge(shard, now, batch);
  }
  return forgotten;
}

}  // namespace redoubt::cache
