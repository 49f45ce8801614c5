#include "shared/incarnation.hpp"

#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace redoubt::shared {
namespace {

constexpr std::string_view kMarkForm = "redoubt1 ";

Error damaged() {
  return Error(Errc::internal, "", "What the record knows of the shared tier cannot be read.");
}

bool read_integer(std::string_view text, std::int64_t& out) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && out >= 0;
}

// Takes the text before the next space, which must be there.
std::optional<std::string_view> take_word(std::string_view& rest) {
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return word;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

std::int64_t number_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

}  // namespace

std::string encode_incarnation(const Incarnation& incarnation) {
  json::object object;
  object["generation"] = incarnation.generation;
  object["era"] = incarnation.era;
  object["server"] = incarnation.server;
  object["nonce"] = incarnation.nonce;
  json::array retired;
  for (const std::string& server : incarnation.retired) retired.emplace_back(server);
  object["retired"] = std::move(retired);
  object["confirmations"] = incarnation.confirmations;
  return to_json(object);
}

Result<Incarnation> decode_incarnation(std::string_view text) {
  Incarnation incarnation;
  if (text.empty()) return incarnation;
  const auto value = parse_json(text);
  if (!value || !value->is_object()) return fail(damaged());
  const json::object& object = value->get_object();
  incarnation.generation = number_of(object, "generation");
  incarnation.era = number_of(object, "era");
  incarnation.confirmations = number_of(object, "confirmations");
  incarnation.server = text_of(object, "server");
  incarnation.nonce = text_of(object, "nonce");
  if (incarnation.generation < 0 || incarnation.era < 0) return fail(damaged());
  const json::value* const retired = object.if_contains("retired");
  if (retired == nullptr || !retired->is_array()) return fail(damaged());
  for (const json::value& server : retired->get_array()) {
    if (!server.is_string()) return fail(damaged());
    incarnation.retired.emplace_back(server.get_string());
  }
  return incarnation;
}

std::string encode_mark(const Mark& mark) {
  return fmt::format("{}{} {} {}", kMarkForm, mark.record, mark.generation, mark.nonce);
}

std::optional<Mark> decode_mark(std::string_view text) {
  if (!text.starts_with(kMarkForm)) return std::nullopt;
  text.remove_prefix(kMarkForm.size());
  Mark mark;
  const auto record = take_word(text);
  const auto generation = take_word(text);
  if (!record || !generation || !read_integer(*generation, mark.generation)) return std::nullopt;
  if (text.empty() || text.find(' ') != std::string_view::npos) return std::nullopt;
  mark.record = *record;
  mark.nonce = text;
  return mark;
}

Verdict judge(const Incarnation& known, std::string_view record, const Sight& sight) {
  std::optional<Mark> mark;
  if (sight.mark) {
    mark = decode_mark(*sight.mark);
    // What cannot be read was not written by this version: not ours to replace.
    if (!mark || mark->record != record) return Verdict::another_record;
  }
  if (std::ranges::find(known.retired, sight.server) != known.retired.end()) {
    return Verdict::retired;
  }
  if (known.generation == 0 || known.server != sight.server) return Verdict::another;
  const bool marked = mark && mark->generation == known.generation && mark->nonce == known.nonce;
  return marked ? Verdict::same : Verdict::unmarked;
}

Incarnation next_incarnation(const Incarnation& known, const Sight& sight, std::string nonce) {
  Incarnation next = known;
  // A record that was restored from a backup is behind its own mark.
  const auto mark = sight.mark ? decode_mark(*sight.mark) : std::nullopt;
  next.generation = std::max(known.generation, mark ? mark->generation : 0) + 1;
  next.server = sight.server;
  next.nonce = std::move(nonce);
  std::erase(next.retired, sight.server);
  if (!known.server.empty() && known.server != sight.server) next.retired.push_back(known.server);
  if (next.retired.size() > kRetiredMax) next.retired.erase(next.retired.begin());
  return next;
}

Error another_record(std::string_view ours, const std::optional<std::string>& mark) {
  const auto read = mark ? decode_mark(*mark) : std::nullopt;
  const std::string theirs = read ? "the record " + read->record : "something else (its rd:inc)";
  return Error(
      Errc::precondition_failed, "redis_of_another_record",
      fmt::format("This Redis is in use by {}, and the record of this instance is {}. Give this "
                  "instance a Redis or a database number of its own (REDIS_URL, REDIS_DATABASE), "
                  "or point it at the other record (DATABASE_URL, REDOUBT_DATA_DIR). If the other "
                  "record is gone for good, delete the key rd:inc.",
                  theirs, ours));
}

}  // namespace redoubt::shared
