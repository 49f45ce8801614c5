#include "tests/sim/model_redis.hpp"

#include "base/assert.hpp"
#include "base/bytes.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace redoubt::sim {
namespace {

using wire::resp::Value;

// The words of a command, which is an array of bulk strings.
std::vector<std::string_view> words_of(std::string_view encoded) {
  std::vector<std::string_view> words;
  std::size_t at = encoded.find('\n') + 1;
  while (at < encoded.size()) {
    const std::size_t line = encoded.find('\r', at);
    std::size_t size = 0;
    std::from_chars(encoded.data() + at + 1, encoded.data() + line, size);
    words.push_back(encoded.substr(line + 2, size));
    at = line + 2 + size + 2;
  }
  return words;
}

std::int64_t integer(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string sha1_hex(std::string_view text) {
  Bytes digest(20);
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return to_hex(digest);
}

bool writes(std::string_view name) {
  return name != "GET" && name != "MGET" && name != "TIME" && name != "PING" && name != "ROLE";
}

std::uint64_t next_memory() {
  thread_local std::uint64_t memories = 0;
  return ++memories;
}

}  // namespace

ModelRedis::ModelRedis(World& world, int number, Witness witness)
    : world_(world), number_(number), witness_(std::move(witness)), memory_(next_memory()) {}

redis::ServerFacts ModelRedis::facts() {
  redis::ServerFacts facts;
  facts.endpoint.host = fmt::format("redis-{}", number_);
  facts.protocol = 3;
  facts.version = "7.2.0";
  facts.run_id = fmt::format("run-{}-{}", number_, run_);
  facts.replication_id = fmt::format("replication-{}-{}", number_, replication_);
  facts.role = replica_ ? "slave" : "master";
  facts.maxmemory_policy = "allkeys-lru";
  if (const std::string* mark = keys_.text("rd:inc", clock_us() / 1000)) facts.identity = *mark;
  return facts;
}

std::int64_t ModelRedis::clock_us() const {
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(world_.now());
  return kWallStart.ms * 1000 + (passed + ahead_).count();
}

void ModelRedis::submit(std::string encoded, std::int64_t client,
                        std::move_only_function<void(Value)> reply) {
  if (hung_) {
    waiting_.push_back({std::move(encoded), client, std::move(reply)});
    return;
  }
  reply(execute(encoded, client));
}

void ModelRedis::go_on() {
  hung_ = false;
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    waiting.reply(execute(waiting.encoded, waiting.client));
  }
}

void ModelRedis::restart() {
  ++run_;
  ++replication_;
  memory_ = next_memory();
  waiting_.clear();
  scripts_.clear();
  down_ = hung_ = replica_ = false;
  error_.clear();
  write_error_.clear();
}

void ModelRedis::start_empty() {
  restart();
  keys_.clear();
}

void ModelRedis::start_with(const Keyspace& saved) {
  restart();
  keys_ = saved;
}

void ModelRedis::flush() {
  keys_.clear();
  memory_ = next_memory();
}

void ModelRedis::evict(unsigned percent) {
  for (const std::string& key : keys_.keys()) {
    if (world_.chance().percent(percent)) keys_.erase(key, clock_us() / 1000);
  }
  memory_ = next_memory();
}

void ModelRedis::demote() {
  replica_ = true;
  write_error_ = "READONLY You can't write against a read only replica.";
}

Value ModelRedis::execute(std::string_view encoded, std::int64_t client) {
  const std::vector<std::string_view> words = words_of(encoded);
  const std::string_view name = words[0];
  if (!error_.empty()) return Value::error(error_);
  if (!write_error_.empty() && writes(name) && name != "DEL") return Value::error(write_error_);
  const std::int64_t now_ms = clock_us() / 1000;
  if (name == "GET") {
    const std::string* const text = keys_.text(words[1], now_ms);
    return text != nullptr ? Value::bulk(*text) : Value();
  }
  if (name == "SET") return set(words);
  if (name == "PSETEX") {
    keys_.set(words[1], std::string(words[3]), now_ms + integer(words[2]));
    return Value::simple("OK");
  }
  if (name == "DEL") return Value::integer(keys_.erase(words[1], now_ms));
  if (name == "EVALSHA" || name == "EVAL") return run_script(words, client);
  if (name == "PING") return Value::simple("PONG");
  return Value::error(fmt::format("ERR unknown command '{}'", name));
}

Value ModelRedis::set(std::span<const std::string_view> words) {
  const std::int64_t now_ms = clock_us() / 1000;
  std::int64_t ends = 0;
  bool only_new = false;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i] == "PX") ends = now_ms + integer(words[++i]);
    if (words[i] == "NX") only_new = true;
  }
  if (only_new && keys_.has(words[1], now_ms)) return {};
  keys_.set(words[1], std::string(words[2]), ends);
  return Value::simple("OK");
}

Value ModelRedis::run_script(std::span<const std::string_view> words, std::int64_t client) {
  const bool whole = words[0] == "EVAL";
  const std::string sha = whole ? sha1_hex(words[1]) : std::string(words[1]);
  if (whole) scripts_.insert(sha);
  if (!scripts_.contains(sha)) {
    return Value::error("NOSCRIPT No matching script. Please use EVAL.");
  }
  const Twin* const twin = twin_of(sha);
  RD_ASSERT(twin != nullptr, "a script has no twin in the model Redis (tests/sim/twins.cpp)");
  const auto keys = static_cast<std::size_t>(integer(words[2]));
  ScriptCall call{keys_, clock_us(), words.subspan(3, keys), words.subspan(3 + keys)};
  Value reply = twin->run(call);
  if (witness_) witness_({*this, twin->name, call.keys, call.arguments, reply, client});
  return reply;
}

}  // namespace redoubt::sim
