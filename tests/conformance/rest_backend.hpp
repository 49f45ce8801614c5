// The shared tier over HTTP: our own transport, through our own Upstash face, to a redis-server.
#pragma once

#include "tests/conformance/backends.hpp"
#include "tests/support/upstash_fixture.hpp"

#include <memory>
#include <optional>
#include <string>

namespace redoubt::conformance {

// Knows no key: only the tokens of the configuration are good.
class NoApiKeys final : public ApiKeys {
 public:
  std::optional<Result<CallerPtr>> authenticate_now(std::string_view) override {
    return fail(refused());
  }
  Task<CallerPtr> authenticate(std::string) override { co_return fail(refused()); }
  Task<IssuedApiKey> create(const Context&, NewApiKey) override { co_return fail(refused()); }
  Task<ApiKeyPage> list(const Context&, std::size_t, std::string) override {
    co_return fail(refused());
  }
  Task<void> revoke(const Context&, std::string) override { co_return fail(refused()); }
  Task<IssuedApiKey> rotate(const Context&, std::string) override { co_return fail(refused()); }
  Task<void> flush_uses() override { co_return Result<void>{}; }
  Task<std::int64_t> sweep(std::size_t) override { co_return 0; }

 private:
  static Error refused() {
    return Error(Errc::unauthenticated, "api_key_invalid", "There are no keys here.");
  }
};

class RestBackend final : public Backend {
 public:
  std::optional<redis::Options> options() const override {
    redis::Options options = test::standalone(0);
    options.topology =
        redis::Rest{.url = "http://127.0.0.1:" + std::to_string(face_.main_port()) + "/redis",
                    .token = Secret(std::string(faces::kAdmin))};
    return options;
  }
  std::string on_each_server(const std::string& arguments) override {
    return server_.cli(arguments);
  }

 private:
  static faces::UpstashOptions face_options() {
    faces::UpstashOptions options;
    options.tokens.push_back({Secret(std::string(faces::kAdmin)), faces::UpstashAccess::admin});
    return options;
  }

  NoApiKeys keys_;
  test::RedisServer server_;
  faces::RunningFace face_{keys_, face_options(), server_.port()};
};

}  // namespace redoubt::conformance
