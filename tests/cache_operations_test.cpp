// The operations of the cache over the real service: what a client sends and what it sees.
#include "operations/cache_operations.hpp"

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "tests/support/cache_fixture.hpp"
#include "tests/support/call_operation.hpp"
#include "tests/support/refusing_record.hpp"

#include <gmock/gmock.h>

#include <map>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Headers final : public HeaderSource {
 public:
  explicit Headers(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  std::string_view header(std::string_view name) const override {
    const auto it = values_.find(std::string(name));
    return it == values_.end() ? std::string_view() : std::string_view(it->second);
  }

 private:
  std::map<std::string, std::string> values_;
};

struct Call {
  std::string id;
  std::string key = {};
  std::string query = {};
  std::string body = {};
  std::map<std::string, std::string> headers = {};
};

class CacheOperations : public test::CacheFixture {
 protected:
  CacheOperations() { register_cache(registry_, *cache_); }

  OperationOutput call_as(const Context& context, const Call& call) {
    const std::array<PathParam, 1> path{{{"key", call.key}}};
    const Headers headers(call.headers);
    OperationInput input{.query = call.query, .body = call.body, .headers = &headers};
    if (!call.key.empty()) input.path = path;
    OperationOutput output;
    answered_now_ = test::call_operation(registry_, context, call.id, input, output);
    return output;
  }
  OperationOutput call(const Call& call) { return call_as(context_, call); }

  json::object json_of(const OperationOutput& output) {
    EXPECT_FALSE(output.error) << output.error->message;
    auto value = parse_json(output.body);
    EXPECT_TRUE(value) << output.body;
    return value ? value->as_object() : json::object();
  }

  static std::string header_of(const OperationOutput& output, std::string_view name) {
    const std::size_t at = output.headers.find(std::string(name) + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 2;
    return output.headers.substr(begin, output.headers.find("\r\n", begin) - begin);
  }

  Registry registry_;
  bool answered_now_ = false;
};

TEST_F(CacheOperations, APutValueIsGotWithItsTypeAgeAndTag) {
  const auto put = json_of(call({.id = "cache.put",
                                 .key = "agent:42",
                                 .query = "ttl=60s&tags=red,blue",
                                 .body = std::string("\0\xff", 2),
                                 .headers = {{"Content-Type", "image/png"}}}));
  EXPECT_EQ(put.at("stored"), true);
  EXPECT_EQ(put.at("outcome"), "stored");
  clock_.advance(2500ms);

  const OperationOutput got = call({.id = "cache.get", .key = "agent:42"});

  EXPECT_TRUE(answered_now_);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.content_type, "image/png");
  EXPECT_EQ(got.body, std::string("\0\xff", 2));
  EXPECT_EQ(header_of(got, "Redoubt-Cache"), "hit");
  EXPECT_EQ(header_of(got, "Age"), "2");
  EXPECT_EQ(header_of(got, "Redoubt-Cache-Ttl"), "57.500");
  EXPECT_EQ(header_of(got, "ETag"), "\"" + std::string(put.at("etag").as_string()) + "\"");
  EXPECT_EQ(header_of(got, "Redoubt-Fill-Lease"), "");
  EXPECT_THAT(got.headers, HasSubstr("sandbox"));
}

TEST_F(CacheOperations, AMissIsAProblemAndCarriesTheLease) {
  const OperationOutput plain = call({.id = "cache.get", .key = "k"});
  ASSERT_TRUE(plain.error);
  EXPECT_EQ(plain.error->slug, "cache_miss");
  EXPECT_EQ(plain.error->code, Errc::not_found);
  EXPECT_EQ(header_of(plain, "Redoubt-Fill-Lease"), "");

  const OperationOutput leased = call({.id = "cache.get", .key = "k", .query = "lease=10s"});
  ASSERT_TRUE(leased.error);
  const std::string token = header_of(leased, "Redoubt-Fill-Lease");
  EXPECT_EQ(token.size(), 32u);
  EXPECT_EQ(header_of(leased, "Redoubt-Cache"), "miss");

  const auto filled = json_of(call({.id = "cache.put",
                                    .key = "k",
                                    .body = "computed",
                                    .headers = {{"Redoubt-Fill-Lease", token}}}));
  EXPECT_EQ(filled.at("stored"), true);
  EXPECT_EQ(call({.id = "cache.get", .key = "k"}).body, "computed");
}

TEST_F(CacheOperations, AFillOvertakenByAnInvalidationIsAnsweredButNotStored) {
  const std::string token = header_of(
      call({.id = "cache.get", .key = "users:42", .query = "lease=10s"}), "Redoubt-Fill-Lease");
  const auto done = json_of(call({.id = "cache.invalidate", .body = R"({"prefixes":["users:"]})"}));
  EXPECT_EQ(done.at("bumped"), 1);

  const OperationOutput put = call({.id = "cache.put",
                                    .key = "users:42",
                                    .body = "old",
                                    .headers = {{"Redoubt-Fill-Lease", token}}});

  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(json_of(put).at("stored"), false);
  EXPECT_EQ(json_of(put).at("outcome"), "invalidated");
  EXPECT_TRUE(call({.id = "cache.get", .key = "users:42"}).error);
}

TEST_F(CacheOperations, AMatchingEtagIsAnsweredWithNotModified) {
  call({.id = "cache.put", .key = "k", .body = "v"});
  const std::string etag = header_of(call({.id = "cache.get", .key = "k"}), "ETag");
  const auto status = [&](std::string if_none_match) {
    const OperationOutput got =
        call({.id = "cache.get", .key = "k", .headers = {{"If-None-Match", if_none_match}}});
    EXPECT_EQ(got.body.empty(), got.status == 304);
    return got.status;
  };

  EXPECT_EQ(status(etag), 304);
  EXPECT_EQ(status("W/" + etag), 304);
  EXPECT_EQ(status("\"other\", " + etag), 304);
  EXPECT_EQ(status("*"), 304);
  EXPECT_EQ(status("\"other\""), 200);
  EXPECT_EQ(status(etag.substr(1)), 200);
}

TEST_F(CacheOperations, StaleAndNegativeAnswersSaySo) {
  call({.id = "cache.put", .key = "s", .query = "ttl=1s&stale_for=1m", .body = "old"});
  call({.id = "cache.put", .key = "n", .query = "negative=true"});
  clock_.advance(2s);

  const OperationOutput stale = call({.id = "cache.get", .key = "s", .query = "lease=10s"});
  EXPECT_EQ(header_of(stale, "Redoubt-Cache"), "stale");
  EXPECT_EQ(header_of(stale, "Redoubt-Cache-Ttl"), "0.000");
  EXPECT_EQ(stale.body, "old");
  EXPECT_FALSE(header_of(stale, "Redoubt-Fill-Lease").empty());
  EXPECT_EQ(header_of(call({.id = "cache.get", .key = "n"}), "Redoubt-Cache"), "negative");
}

TEST_F(CacheOperations, AFailedFillKeepsServingTheStaleValue) {
  call({.id = "cache.put", .key = "k", .query = "ttl=1s&stale_if_error=1m", .body = "old"});
  clock_.advance(2s);
  const std::string token =
      header_of(call({.id = "cache.get", .key = "k", .query = "lease=10s"}), "Redoubt-Fill-Lease");

  const auto released = json_of(call({.id = "cache.release",
                                      .key = "k",
                                      .query = "failed=true&retry_after=5s",
                                      .headers = {{"Redoubt-Fill-Lease", token}}}));

  EXPECT_EQ(released.at("released"), true);
  EXPECT_EQ(released.at("serving_stale"), true);
  EXPECT_EQ(call({.id = "cache.get", .key = "k"}).body, "old");
}

TEST_F(CacheOperations, BatchesCarryTextAndBase64) {
  const std::string body =
      R"({"entries":[{"key":"t","value":"grüße","tags":["x"]},{"key":"b","value_base64":"AP8="}]})";
  const auto put = json_of(call({.id = "cache.batch_set", .body = body}));
  EXPECT_EQ(put.at("data").as_array().size(), 2u);

  const auto got =
      json_of(call({.id = "cache.batch_get", .body = R"({"keys":["b","missing","t"]})"}));

  const auto& data = got.at("data").as_array();
  EXPECT_EQ(data.at(0).at("value_base64"), "AP8=");
  EXPECT_EQ(data.at(0).at("content_type"), "application/octet-stream");
  EXPECT_EQ(data.at(1).at("status"), 404);
  EXPECT_EQ(data.at(1).at("state"), "miss");
  EXPECT_FALSE(data.at(1).as_object().contains("value"));
  EXPECT_EQ(data.at(2).at("value"), "grüße");
  EXPECT_EQ(data.at(2).at("content_type"), "text/plain; charset=utf-8");
}

TEST_F(CacheOperations, ABatchReplyIsBoundedInBytes) {
  std::string keys;
  for (int i = 0; i < 9; ++i) {
    const std::string key = "big" + std::to_string(i);
    put(key, std::string(1'000'000, 'v'));
    keys += (i == 0 ? "\"" : ",\"") + key + "\"";
  }

  const OperationOutput got = call({.id = "cache.batch_get", .body = "{\"keys\":[" + keys + "]}"});

  const auto has = [&](std::string_view text) { return got.body.find(text) != std::string::npos; };
  EXPECT_TRUE(has(R"({"status":200,"key":"big7")"));
  EXPECT_TRUE(has(R"({"status":413,"key":"big8","state":"hit","content_type")"));
  EXPECT_LT(got.body.size(), 9u << 20);
}

TEST_F(CacheOperations, BadBatchesNameTheItem) {
  const auto both = call(
      {.id = "cache.batch_set",
       .body =
           R"({"entries":[{"key":"a","value":"1"},{"key":"b","value":"1","value_base64":""}]})"});
  ASSERT_TRUE(both.error);
  EXPECT_EQ(both.error->fields.at(0).location, "body.entries.1.value_base64");
  const auto garbled =
      call({.id = "cache.batch_set", .body = R"({"entries":[{"key":"a","value_base64":"A"}]})"});
  ASSERT_TRUE(garbled.error);
  EXPECT_THAT(garbled.error->fields.at(0).detail, HasSubstr("base64"));
  EXPECT_TRUE(call({.id = "cache.get", .key = "a"}).error);
}

TEST_F(CacheOperations, StatsAreThoseOfTheTenant) {
  put("k", "v");
  get("k");
  get("missing");

  const auto stats = json_of(call({.id = "cache.stats"}));
  EXPECT_EQ(stats.at("entries"), 1);
  EXPECT_EQ(stats.at("hits"), 1);
  EXPECT_EQ(stats.at("misses"), 1);
  EXPECT_EQ(stats.at("hit_ratio"), 0.5);
  EXPECT_EQ(json_of(call_as(other_, {.id = "cache.stats"})).at("entries"), 0);
}

TEST_F(CacheOperations, KeysAreListedAndDeletedUnderTheirPath) {
  put("users:1", "v");
  put("users:2", "v");
  put("other", "v");

  const auto first = json_of(call({.id = "cache.list", .query = "pattern=users:*&limit=1"}));
  EXPECT_EQ(first.at("data").at(0).at("key"), "users:1");
  EXPECT_EQ(first.at("has_more"), true);
  const std::string cursor(first.at("next_cursor").as_string());
  const auto second =
      json_of(call({.id = "cache.list", .query = "pattern=users:*&limit=10&cursor=" + cursor}));
  EXPECT_EQ(second.at("data").as_array().size(), 1u);
  EXPECT_FALSE(second.contains("next_cursor"));

  EXPECT_EQ(json_of(call({.id = "cache.delete_key", .key = "users:1"})).at("deleted"), true);
  EXPECT_EQ(json_of(call({.id = "cache.delete", .key = "users:1"})).at("deleted"), false);
}

TEST_F(CacheOperations, ClearingReachesWhatItNames) {
  put("users:1", "v");
  put("agents:1", "v");
  put_as(other_, {.key = "agents:1", .value = "theirs"});

  json_of(call({.id = "cache.clear_pattern", .query = "pattern=users:*"}));
  EXPECT_EQ(state("users:1"), CacheState::miss);
  EXPECT_EQ(state("agents:1"), CacheState::hit);
  EXPECT_EQ(json_of(call({.id = "cache.clear"})).at("everything"), true);
  EXPECT_EQ(state("agents:1"), CacheState::miss);
  EXPECT_EQ(get_as(other_, "agents:1").state, CacheState::hit);
  EXPECT_TRUE(call({.id = "cache.clear_pattern"}).error);
}

TEST_F(CacheOperations, WarmingTheDashboardLoadsAndTellsWhatIsStale) {
  put("unrelated", "v");
  const auto warmed =
      json_of(call({.id = "cache.warm_dashboard",
                    .body = R"({"entries":[{"key":"stats","value":"1","ttl":10,"stale_for":60},
                                   {"key":"dashboard:users","value":"2"}]})"}));
  EXPECT_EQ(warmed.at("loaded").at(0).at("key"), "dashboard:stats");
  EXPECT_EQ(warmed.at("data").as_array().size(), 2u);
  EXPECT_TRUE(warmed.at("to_refresh").as_array().empty());
  clock_.advance(11s);

  const auto later = json_of(call({.id = "cache.warm_dashboard"}));
  EXPECT_EQ(later.at("to_refresh").at(0), "dashboard:stats");

  json_of(call({.id = "cache.clear_dashboard"}));
  EXPECT_EQ(state("dashboard:users"), CacheState::miss);
  EXPECT_EQ(state("unrelated"), CacheState::hit);
}

TEST_F(CacheOperations, EveryOperationIsOfTheCacheAreaAndWritesNeedWriteAccess) {
  Caller reader = test::admin_of("acme");
  reader.role = Role::read_only;
  Caller stranger = reader;
  stranger.areas = 0;
  std::size_t refused = 0;
  for (const Operation& operation : registry_.all()) {
    EXPECT_EQ(operation.info.area, Area::cache);
    EXPECT_FALSE(authorize(operation.info, Caller{})) << operation.info.id;
    EXPECT_FALSE(authorize(operation.info, stranger)) << operation.info.id;
    refused += authorize(operation.info, reader) ? 0 : 1;
  }
  EXPECT_EQ(registry_.all().size(), 14u);
  EXPECT_EQ(refused, 10u);
}

// ---- While the record is away ----

class CacheAtBestEffort : public CacheOperations {
 protected:
  CacheAtBestEffort() {
    register_cache(refused_, *refusing_cache_);
    refusing_.refuse(true);
    put("dashboard:a", "v");
  }
  OperationOutput refused_call(std::string id, std::string query, std::string body = {}) {
    const std::array<PathParam, 1> path{{{"key", "dashboard:a"}}};
    OperationInput input{.path = path, .query = query, .body = body};
    if (!id.starts_with("cache.delete")) input.path = {};
    OperationOutput output;
    test::call_operation(refused_, context_, id, input, output);
    return output;
  }

  test::RefusingRecord refusing_{*record_};
  std::unique_ptr<Cache> refusing_cache_ =
      cache::make_cache(engine_, refusing_, timers_, null_log());
  Registry refused_;
};

TEST_F(CacheAtBestEffort, WhateverInvalidatesIsAcceptedWith202AndSaysThatItIsNotRecorded) {
  struct Each {
    std::string id;
    std::string query = {};
    std::string body = {};
  };
  for (const Each& each :
       {Each{"cache.invalidate", "", R"({"tags":["t"]})"}, Each{"cache.clear"},
        Each{"cache.clear_pattern", "pattern=a*"}, Each{"cache.clear_dashboard"},
        Each{"cache.delete", "wait=all"}, Each{"cache.delete_key", "wait=all"}}) {
    const OperationOutput refused = refused_call(each.id, each.query, each.body);
    ASSERT_TRUE(refused.error) << each.id;
    EXPECT_EQ(refused.error->slug, "record_unavailable") << each.id;

    const std::string more = each.query.empty() ? "best_effort=1" : each.query + "&best_effort=1";
    const OperationOutput accepted = refused_call(each.id, more, each.body);

    EXPECT_EQ(accepted.status, 202) << each.id;
    EXPECT_EQ(json_of(accepted).at("recorded"), false) << each.id;
  }
  EXPECT_EQ(state("dashboard:a"), CacheState::miss);
}

TEST_F(CacheAtBestEffort, WhatIsRecordedIsAnsweredAsEver) {
  refusing_.refuse(false);
  const OperationOutput done =
      refused_call("cache.invalidate", "best_effort=true", R"({"tags":["t"]})");

  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(json_of(done).at("recorded"), true);
  const OperationOutput deleted = refused_call("cache.delete", "wait=all&best_effort=1");
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(json_of(deleted).at("recorded"), true);
  EXPECT_FALSE(json_of(refused_call("cache.delete", "")).contains("recorded"));
}

TEST_F(CacheAtBestEffort, IsNothingForAnErasureHereAlone) {
  const OperationOutput refused = refused_call("cache.delete", "best_effort=1");

  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Errc::invalid_argument);
  ASSERT_EQ(refused.error->fields.size(), 1u);
  EXPECT_EQ(refused.error->fields[0].location, "query.best_effort");
  EXPECT_EQ(state("dashboard:a"), CacheState::hit);
}

}  // namespace
}  // namespace redoubt::operations
