#include "redis/command.hpp"

#include "base/assert.hpp"
#include "redis/script.hpp"

#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <cstring>

#include "base/bytes.hpp"
#include "wire/resp.hpp"

namespace redoubt::redis {
namespace {

constexpr std::size_t kRoom = 120;        // Most commands fit, and need one allocation.
constexpr std::size_t kScriptRoom = 320;  // So do most scripts.

std::string sha1_hex(std::string_view text) {
  Bytes digest(20);
  unsigned size = 0;
  const int done = EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  RD_ASSERT(done == 1 && size == digest.size(), "SHA-1 failed");
  return to_hex(digest);
}

}  // namespace

Command::Command(std::string_view name) {
  encoded_.reserve(kRoom);
  arg(name);
}

Command::Command(const Script& script)
    : script_(&script),
      arguments_(2),
      read_only_(script.effect_ == Script::Effect::read_only),
      repeatable_(script.effect_ != Script::Effect::once) {
  encoded_.reserve(kScriptRoom);
  encoded_ += script.prefix_;
}

Command& Command::arg(std::string_view text) & {
  wire::resp::append_bulk(encoded_, text);
  ++arguments_;
  return *this;
}

Command& Command::arg_integer(std::int64_t number) & {
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return arg(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

Command& Command::key(std::string_view key) & {
  const std::uint16_t slot = wire::slot_of(key);
  if (slot_ != kNoSlot && slot_ != slot) crosses_slots_ = true;
  if (slot_ == kNoSlot) slot_ = slot;
  return arg(key);
}

std::string_view Command::name() const {
  const std::size_t start = encoded_.find('\n') + 1;
  return std::string_view(encoded_).substr(start, encoded_.find('\r', start) - start);
}

std::optional<std::uint16_t> Command::slot() const {
  if (slot_ == kNoSlot) return std::nullopt;
  return slot_;
}

std::size_t Command::size() const {
  return encoded_.size() + 64 + (script_ == nullptr ? 0 : script_->source().size());
}

void Command::append_to(std::string& out, bool whole_script) const {
  char head[24] = "*";
  char* end = std::to_chars(head + 1, head + sizeof head, arguments_).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(head, end);
  if (script_ == nullptr || !whole_script) {
    out.append(encoded_);
    return;
  }
  wire::resp::append_bulk(out, "EVAL");
  wire::resp::append_bulk(out, script_->source());
  out.append(encoded_, script_->prefix_.size());
}

Script::Script(std::string source, Effect effect)
    : source_(std::move(source)), sha_(sha1_hex(source_)), effect_(effect) {
  wire::resp::append_bulk(prefix_, "EVALSHA");
  wire::resp::append_bulk(prefix_, sha_);
}

Command Script::start(std::size_t keys) const {
  Command command(*this);
  command.arg(keys);
  return command;
}

Command Script::command(std::span<const std::string_view> keys,
                        std::span<const std::string_view> arguments) const {
  Command command = start(keys.size());
  for (const std::string_view key : keys) command.key(key);
  for (const std::string_view argument : arguments) command.arg(argument);
  return command;
}

}  // namespace redoubt::redis
