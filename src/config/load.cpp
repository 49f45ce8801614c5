#include "config/load.hpp"

#include "config/gather.hpp"
#include "config/limit_policy.hpp"
#include "config/resolve_redis.hpp"
#include "config/setting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDefaultPolicy = "limits.default";

// The second half of loading: texts into the tree, then the rules that concern more than one
// setting.
class Builder {
 public:
  explicit Builder(Gathered gathered) : gathered_(std::move(gathered)) {}

  Result<Loaded> build() && {
    apply_settings();
    check_mode();
    check_tls();
    check_sessions();
    check_redis();
    build_policies();
    if (loaded_.config.record.path.empty()) {
      loaded_.config.record.path = loaded_.config.record.data_dir + "/redoubt.db";
    }
    if (!gathered_.problems.empty()) return fail(error());
    describe_values();
    return std::move(loaded_);
  }

 private:
  void problem(std::string source, std::string text) {
    gathered_.problems.push_back({std::move(source), std::move(text)});
  }

  const Given* given(std::string_view key) const {
    const auto found = gathered_.given.find(std::string(key));
    return found == gathered_.given.end() ? nullptr : &found->second;
  }

  // What to call a setting in a message: where it was given, else the name to give it by.
  std::string source_of(std::string_view key) const {
    if (const auto* found = given(key)) return found->source;
    return std::string(find_setting(key)->name.environment.front());
  }

  void apply_settings() {
    for (const auto& row : all_settings()) {
      const auto* found = given(row.name.key);
      if (found == nullptr) continue;
      const auto done = row.set(loaded_.config, found->text);
      if (!done) problem(found->source, done.error());
      if (row.set_file && !found->path.empty()) row.set_file(loaded_.config, found->path);
    }
  }

  void check_mode() {
    constexpr std::string_view kKey = "crypto.token_encryption_key";
    if (loaded_.config.mode != Mode::production || given(kKey) != nullptr) return;
    problem(source_of(kKey),
            "must be given in production mode; make one with: openssl rand -hex 32");
  }

  void check_tls() {
    const auto& http = loaded_.config.http;
    const bool certificate = !http.tls_certificate.empty();
    const bool key = !http.tls_key.empty();
    if (certificate != key) {
      problem(source_of(certificate ? "http.tls_certificate" : "http.tls_key"),
              fmt::format("needs {} beside it",
                          source_of(certificate ? "http.tls_key" : "http.tls_certificate")));
    } else if (certificate && http.tls_listen.empty()) {
      problem(source_of("http.tls_certificate"),
              "a certificate serves nothing until REDOUBT_TLS_LISTEN says where, for example "
              "0.0.0.0:3443");
    } else if (!certificate && !http.tls_listen.empty()) {
      problem(source_of("http.tls_listen"), "needs REDOUBT_TLS_CERTIFICATE and REDOUBT_TLS_KEY");
    }
    if (http.listen.empty() && http.tls_listen.empty()) {
      problem(source_of("http.listen"), "is none, and so is REDOUBT_TLS_LISTEN: nobody could call");
    }
    for (const auto& address : http.tls_listen) {
      if (address.port != 0 && std::ranges::find(http.listen, address) != http.listen.end()) {
        problem(source_of("http.tls_listen"),
                fmt::format("{} is in {} too", format(address), source_of("http.listen")));
      }
    }
  }

  void check_sessions() {
    auto& options = loaded_.config.sessions.options;
    if (options.idle_ttl <= options.absolute_ttl) return;
    if (given("sessions.absolute_ttl") == nullptr) {
      options.absolute_ttl = options.idle_ttl;
      return;
    }
    problem(source_of("sessions.ttl"),
            fmt::format("is {}, longer than {}, which is {}", format_duration(options.idle_ttl),
                        source_of("sessions.absolute_ttl"), format_duration(options.absolute_ttl)));
  }

  void check_redis() {
    for (const auto& [name, source] : gathered_.reserved) {
      loaded_.unused.push_back(source);
    }
    const RedisGiven said{[this](std::string_view key) { return given(key) != nullptr; },
                          [this](std::string_view key) { return source_of(key); }};
    resolve_redis(loaded_.config.redis, said, [this](std::string source, std::string text) {
      problem(std::move(source), std::move(text));
    });
  }

  void build_policies() {
    auto& limits = loaded_.config.limits;
    const auto* text = given(kDefaultPolicy);
    if (text != nullptr) {
      for (const std::string_view key :
           {"limits.requests_per_minute", "limits.burst_size", "limits.window"}) {
        if (given(key) == nullptr) continue;
        problem(text->source,
                fmt::format("contradicts {}; both say what the policy \"default\" is, "
                            "unset one",
                            source_of(key)));
      }
      add_policy("default", *text);
    } else {
      limits.policies.push_back(default_policy());
    }
    for (const auto& [key, given_text] : gathered_.given) {
      if (find_setting(key) != nullptr || key == kDefaultPolicy) continue;
      add_policy(key.substr(kPolicyPrefix.size()), given_text);
    }
  }

  void add_policy(const std::string& name, const Given& text) {
    auto policy = parse_policy(name, text.text);
    if (!policy) return problem(text.source, fmt::format("limit {}: {}", name, policy.error()));
    loaded_.config.limits.policies.push_back(*std::move(policy));
  }

  LimitPolicy default_policy() {
    const auto& limits = loaded_.config.limits;
    LimitPolicy policy;
    policy.name = "default";
    policy.limit = limits.requests_per_minute;
    policy.period = 1min;
    policy.burst = limits.burst_size;
    if (limits.window == 0ms) return policy;
    if (given("limits.burst_size") != nullptr) {
      problem(source_of("limits.burst_size"),
              fmt::format("contradicts {}: a window has no burst, unset one",
                          source_of("limits.window")));
    }
    // Both factors are bounded (1e9, and 366 days in ms), so the product fits.
    const auto admitted = limits.requests_per_minute * (limits.window.count() / 1000) / 60;
    if (admitted < 1 || admitted > 1'000'000'000) {
      problem(source_of("limits.window"),
              fmt::format("at {} a minute admits {}; must be 1 to 1000000000",
                          limits.requests_per_minute, admitted));
      return policy;
    }
    policy.algorithm = LimitAlgorithm::sliding_window;
    policy.limit = admitted;
    policy.period = limits.window;
    return policy;
  }

  void describe_values() {
    for (const auto& row : all_settings()) {
      const auto* found = given(row.name.key);
      SettingValue value;
      value.key = row.name.key;
      value.text = row.show(loaded_.config);
      value.origin = found == nullptr ? Origin::built_in : found->origin;
      value.source = found == nullptr ? "default" : found->source;
      loaded_.values.push_back(std::move(value));
    }
    for (const auto& policy : loaded_.config.limits.policies) {
      const auto key = std::string(kPolicyPrefix) + policy.name;
      const auto* found = given(key);
      loaded_.values.push_back({key, format_policy(policy),
                                found == nullptr ? Origin::built_in : found->origin,
                                found == nullptr ? "from the settings above" : found->source});
    }
  }

  Error error() const {
    Error error(Errc::invalid_argument, "config_invalid", {});
    for (const auto& [source, text] : gathered_.problems) {
      error.message += fmt::format("{}: {}\n", source, text);
      error.fields.push_back({"", source, text, "config"});
    }
    const auto count = gathered_.problems.size();
    error.message += fmt::format("{} problem{}", count, count == 1 ? "" : "s");
    return error;
  }

  Gathered gathered_;
  Loaded loaded_;
};

}  // namespace

Result<Loaded> load_config(const ConfigSources& sources) {
  return Builder(gather(sources)).build();
}

}  // namespace redoubt::config
