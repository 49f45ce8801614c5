#include "shared/journal_hints.hpp"

#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::shared {
namespace {

HintChannelParts channel_parts(const JournalHintsParts& parts, std::string identity,
                               std::string instance) {
  return {.client = parts.client,
          .state = parts.state,
          .clock = parts.clock,
          .timers = parts.timers,
          .log = parts.log,
          .metrics = parts.metrics,
          .counter = "redoubt_shared_hints_total",
          .counter_help = "Hints to other instances that the journal has something new.",
          .topic = Topic::journal,
          .identity = std::move(identity),
          .instance = std::move(instance),
          .messages = [](bool rung) { return std::vector<std::string>(rung ? 1 : 0); },
          // Whatever was told while nobody listened is in the journal.
          .listening = parts.hurry,
          // Else the record is asked for copies that are not read yet, and for its journal at every
          // hint besides: more than it ever is with Redis or without.
          .heard =
              [&state = parts.state, hurry = parts.hurry](std::string_view) {
                if (state.all_reads_open()) hurry();
              }};
}

}  // namespace

JournalHints::JournalHints(const JournalHintsParts& parts, std::string identity,
                           std::string instance)
    : channel_(channel_parts(parts, std::move(identity), std::move(instance))) {}

}  // namespace redoubt::shared
