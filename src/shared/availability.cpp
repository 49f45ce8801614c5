#include "shared/availability.hpp"

#include <algorithm>

namespace redoubt::shared {

std::string_view availability_name(Availability state) {
  switch (state) {
    case Availability::away:
      return "away";
    case Availability::recovering:
      return "recovering";
    case Availability::suspect:
      return "suspect";
    case Availability::normal:
      return "normal";
  }
  return "away";
}

std::string_view state_word(Availability state) {
  switch (state) {
    case Availability::away:
      return "down";
    case Availability::recovering:
      return "recovering";
    case Availability::suspect:
      return "degraded";
    case Availability::normal:
      return "normal";
  }
  return "down";
}

void AvailabilityMachine::operation_failed(BootTime now, std::uint64_t answered) {
  canaries_ = 0;
  switch (state_) {
    case Availability::away:
      return;
    case Availability::recovering:
      return leave(now);
    case Availability::normal:
      suspect(now, answered);
      [[fallthrough]];
    case Availability::suspect:
      return judge_suspect(now, answered);
  }
}

void AvailabilityMachine::canary_failed(BootTime now, std::uint64_t answered) {
  operation_failed(now, answered);
}

void AvailabilityMachine::canary_answered(BootTime now, bool gates_open, std::uint64_t answered) {
  ++canaries_;
  switch (state_) {
    case Availability::normal:
      if (!gates_open) leave(now);
      return;
    case Availability::suspect:
      last_answer_ = now;
      answered_at_failure_ = answered;
      failures_ = 0;
      if (!gates_open) return leave(now);
      if (canaries_ >= kCanaries) settle(now);
      return;
    case Availability::away:
      if (now < away_until_) return;
      state_ = Availability::recovering;
      entered_ = now;
      canaries_ = 1;
      [[fallthrough]];
    case Availability::recovering:
      if (!gates_open) return;
      const bool proven = canaries_ >= kCanaries && now - entered_ >= kRecovering;
      if (proven || !proves_itself_) settle(now);
      return;
  }
}

void AvailabilityMachine::restart() {
  *this = AvailabilityMachine();
  proves_itself_ = true;
}

void AvailabilityMachine::suspect(BootTime now, std::uint64_t answered) {
  state_ = Availability::suspect;  // entered_ stays: Redis is still in use.
  failures_ = 0;
  answered_at_failure_ = answered;
  window_began_ = now;
  window_failures_ = 0;
  answered_at_window_ = answered;
  last_answer_ = now;
}

void AvailabilityMachine::judge_suspect(BootTime now, std::uint64_t answered) {
  if (answered != answered_at_failure_) {
    failures_ = 0;
    last_answer_ = now;
  }
  answered_at_failure_ = answered;
  ++failures_;
  if (now - window_began_ > kWindow) {
    window_began_ = now;
    window_failures_ = 0;
    answered_at_window_ = answered;
  }
  ++window_failures_;
  const std::uint64_t operations = window_failures_ + (answered - answered_at_window_);
  const bool half = operations >= kWindowOperations && 2 * window_failures_ >= operations;
  if (failures_ >= kFailuresInARow || half || now - last_answer_ >= kSilence) leave(now);
}

void AvailabilityMachine::leave(BootTime now) {
  if (state_ == Availability::away) return;
  const bool settled = state_ != Availability::recovering && now - entered_ >= kSettled;
  stay_ = settled || stay_ == Duration(0) ? kStayMin : std::min(kStayMax, stay_ * 2);
  state_ = Availability::away;
  away_until_ = now + stay_;
  canaries_ = 0;
}

void AvailabilityMachine::settle(BootTime now) {
  // From suspect it was in use all along: normal goes on.
  if (state_ != Availability::suspect) entered_ = now;
  state_ = Availability::normal;
  proves_itself_ = true;
}

}  // namespace redoubt::shared
