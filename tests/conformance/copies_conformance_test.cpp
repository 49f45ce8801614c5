// Copies: what is there is what the rules of versions leave of any history.
#include "tests/conformance/conformance.hpp"

#include "base/random.hpp"
#include "shared/copies.hpp"
#include "shared/memory_copies.hpp"

#include <array>
#include <map>
#include <string>
#include <utility>

namespace redoubt::conformance {
namespace {

using shared::Copies;
using shared::Copy;
using shared::CopyName;
using shared::kBuried;
using shared::Noun;
using shared::Stored;

constexpr Duration kLife{60'000};

CopyName named(std::string_view id) {
  return {.noun = Noun::session, .tenant = "acme", .id = id};
}
Copy copy_of(std::int64_t version, std::string bytes) {
  return {version, std::move(bytes)};
}

class CopiesConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (in_memory()) {
      copies_ = std::make_unique<shared::MemoryCopies>(loop_.clock, loop_.metrics);
      return;
    }
    client_ = connect();
    state_ = usable_state();
    copies_ = shared::make_redis_copies(*client_, *state_, loop_.metrics);
  }

  std::optional<Copy> get(CopyName name) { return loop_.run(copies_->get(name)); }
  std::string bytes(std::string_view id) {
    const auto copy = get(named(id));
    return copy ? copy->bytes : "(none)";
  }
  Stored put(CopyName name, Copy copy, Duration life = kLife) {
    return loop_.run(copies_->put(name, std::move(copy), life));
  }
  Stored put_if_newer(CopyName name, Copy copy, Duration life = kLife) {
    return loop_.run(copies_->put_if_newer(name, std::move(copy), life));
  }
  Stored bury(CopyName name) { return loop_.run(copies_->bury(name, kLife)); }

  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::SharedState> state_;
  std::unique_ptr<Copies> copies_;
};
CONFORMANCE(CopiesConformance, all_backends());

TEST_P(CopiesConformance, AreFoundUnderTheirNameAndNoOther) {
  EXPECT_EQ(put(named("a"), copy_of(1, std::string("x\0y", 3))), Stored::stored);

  EXPECT_EQ(bytes("a"), std::string("x\0y", 3));
  EXPECT_EQ(get(named("a"))->version, 1);
  EXPECT_FALSE(get(named("b")));
  EXPECT_FALSE(get({.noun = Noun::session, .tenant = "globex", .id = "a"}));
  EXPECT_FALSE(get({.noun = Noun::cache, .tenant = "acme", .id = "a"}));
}

TEST_P(CopiesConformance, GiveWayToAnEqualOrHigherVersionOnly) {
  EXPECT_EQ(put_if_newer(named("a"), copy_of(9, "nine")), Stored::stored);
  EXPECT_EQ(put_if_newer(named("a"), copy_of(10, "ten")), Stored::stored);
  EXPECT_EQ(put_if_newer(named("a"), copy_of(9, "late")), Stored::older);
  EXPECT_EQ(bytes("a"), "ten");
  EXPECT_EQ(put_if_newer(named("a"), copy_of(10, "ten again")), Stored::stored);
  EXPECT_EQ(bytes("a"), "ten again");
}

TEST_P(CopiesConformance, ATombstoneBeatsEveryLateRefill) {
  put(named("a"), copy_of(1, "one"));
  EXPECT_EQ(bury(named("a")), Stored::stored);
  EXPECT_FALSE(get(named("a")));
  EXPECT_EQ(put_if_newer(named("a"), copy_of(kBuried - 1, "late")), Stored::older);
  EXPECT_FALSE(get(named("a")));
  EXPECT_EQ(bury(named("a")), Stored::stored) << "twice is once";
}

TEST_P(CopiesConformance, EndWithTheirLifetime) {
  put(named("a"), copy_of(1, "one"), Duration(30));
  put_if_newer(named("b"), copy_of(1, "one"), Duration(30));
  const auto gone = [this](std::string_view id) {
    return loop_.until([&] { return !get(named(id)); });
  };
  EXPECT_TRUE(gone("a"));
  EXPECT_TRUE(gone("b"));
}

TEST_P(CopiesConformance, MayBeOfAnyBytesAndLarge) {
  SeededRandom random(5);
  for (const std::size_t size : {0U, 1U, 3'000U, 40'000U, 300'000U}) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    const std::string id = std::to_string(size);
    ASSERT_EQ(put(named(id), copy_of(1, bytes)), Stored::stored) << size;
    ASSERT_TRUE(get(named(id))) << size;
    EXPECT_EQ(get(named(id))->bytes, bytes) << size;
    ASSERT_EQ(put_if_newer(named(id), copy_of(2, bytes)), Stored::stored) << size;
    EXPECT_EQ(get(named(id))->bytes, bytes) << size;
  }
}

TEST_P(CopiesConformance, OfManyWrittenAtOnceTheHighestVersionStays) {
  constexpr std::int64_t kCopies = 40;
  int written = 0;
  for (std::int64_t i = 0; i < kCopies; ++i) {
    Copy copy = copy_of(i * 7 % kCopies, std::to_string(i * 7 % kCopies));
    auto done = [&](std::exception_ptr thrown, Stored stored) {
      if (thrown) std::rethrow_exception(thrown);
      EXPECT_NE(stored, Stored::nowhere);
      ++written;
    };
    auto task = copies_->put_if_newer(named("a"), std::move(copy), kLife);
    boost::asio::co_spawn(loop_.io, std::move(task), done);
  }
  ASSERT_TRUE(loop_.until([&] { return written == kCopies; }));
  EXPECT_EQ(bytes("a"), std::to_string(kCopies - 1));
}

// ---- Any history ----

constexpr std::array<std::string_view, 6> kTenants{"acme", "a{b}c", "}{", "\xC3\xA4:*", "t-5", "%"};
constexpr std::size_t kIds = 3;

std::string random_bytes(SeededRandom& random) {
  std::string bytes(random.below(20) == 0 ? 5'000 : random.below(40), '\0');
  const bool text = random.below(2) == 0;
  for (char& c : bytes) {
    c = static_cast<char>(text ? 'a' + random.below(26) : random.below(256));
  }
  return bytes;
}

std::int64_t random_version(SeededRandom& random) {
  const auto small = static_cast<std::int64_t>(random.below(20));
  return random.below(10) == 0 ? kBuried - 1 - small : small;
}

// What the rules leave: by tenant and id, a copy or a tombstone.
class Model {
 public:
  std::optional<Copy> get(const CopyName& name) const {
    const auto at = kept_.find(key(name));
    if (at == kept_.end() || at->second.version == kBuried) return std::nullopt;
    return at->second;
  }
  void put(const CopyName& name, Copy copy) { kept_[key(name)] = std::move(copy); }
  Stored put_if_newer(const CopyName& name, Copy copy) {
    const auto at = kept_.find(key(name));
    if (at != kept_.end() && at->second.version > copy.version) return Stored::older;
    put(name, std::move(copy));
    return Stored::stored;
  }

 private:
  static std::pair<std::string, std::string> key(const CopyName& name) {
    return {std::string(name.tenant), std::string(name.id)};
  }
  std::map<std::pair<std::string, std::string>, Copy> kept_;
};

class CopiesHistory : public CopiesConformance {
 protected:
  CopyName random_name() {
    static const std::array<std::string, kIds> ids{"0", "one:1", std::string("\0\xFF", 2)};
    return {.noun = Noun::session,
            .tenant = kTenants[random_.below(kTenants.size())],
            .id = ids[random_.below(ids.size())]};
  }

  void expect_same(const std::optional<Copy>& found, const CopyName& name) {
    const std::optional<Copy> wanted = model_.get(name);
    ASSERT_EQ(found.has_value(), wanted.has_value()) << name.tenant;
    if (!found) return;
    EXPECT_EQ(found->version, wanted->version);
    EXPECT_EQ(found->bytes, wanted->bytes);
  }

  void read_many() {
    std::vector<CopyName> names;
    for (std::uint64_t n = random_.below(16); n > 0; --n) names.push_back(random_name());
    auto asked = names;
    const auto found = loop_.run(copies_->get_all(std::move(asked)));
    ASSERT_EQ(found.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) expect_same(found[i], names[i]);
  }

  void step() {
    const CopyName name = random_name();
    const Copy copy = copy_of(random_version(random_), random_bytes(random_));
    switch (random_.below(16)) {
      case 0:
        ASSERT_EQ(bury(name), Stored::stored);
        model_.put(name, {kBuried, {}});
        break;
      case 1:
      case 2:
        ASSERT_EQ(put(name, copy), Stored::stored);
        model_.put(name, copy);
        break;
      case 3:
      case 4:
        read_many();
        break;
      case 5:
      case 6:
      case 7:
        expect_same(get(name), name);
        break;
      default:
        ASSERT_EQ(put_if_newer(name, copy), model_.put_if_newer(name, copy));
    }
  }

  SeededRandom random_{20'261'125};
  Model model_;
};
CONFORMANCE(CopiesHistory, all_backends());

TEST_P(CopiesHistory, LeavesWhatTheRulesOfVersionsLeave) {
  for (int i = 0; i < 800 && !HasFatalFailure(); ++i) step();
  read_many();
}

// ---- What only a Redis does ----

class CopiesInRedis : public CopiesHistory {
 protected:
  std::string key_of(const CopyName& name) const {
    return shared::KeySpace(state_->generation()).key(name.tenant, name.noun, name.id);
  }
};
CONFORMANCE(CopiesInRedis, all_but_memory());

TEST_P(CopiesInRedis, NeverAreWithoutALifetime) {
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) step();
  std::size_t seen = 0;
  for (int i = 0; i < 30; ++i) {
    auto command = redis::Command("PTTL").key(key_of(random_name())).read_only();
    const auto left = loop_.run(client_->run(std::move(command)));
    ASSERT_TRUE(left) << left.error().cause;
    if (left->as_integer() == -2) continue;  // Not there.
    ++seen;
    EXPECT_GT(left->as_integer(), 0);
    EXPECT_LE(left->as_integer(), kLife.count());
  }
  EXPECT_GT(seen, 10U) << "else nothing was seen";
}

TEST_P(CopiesInRedis, AreWrittenByAScriptThatRedisForgot) {
  put_if_newer(named("a"), copy_of(1, "one"));
  backend().on_each_server("script flush");
  EXPECT_EQ(put_if_newer(named("a"), copy_of(2, "two")), Stored::stored);
  EXPECT_EQ(bytes("a"), "two");
}

TEST_P(CopiesInRedis, AValueNobodyHereWroteIsAMissAndIsReplaced) {
  for (const char* id : {"a", "b"}) {
    const char* value = *id == 'a' ? "hello" : "00000000000000000zzcbytes";
    auto command = redis::Command("SET").key(key_of(named(id))).arg(value);
    ASSERT_TRUE(loop_.run(client_->run(std::move(command))));
  }
  auto command = redis::Command("LPUSH").key(key_of(named("c"))).arg(1);
  ASSERT_TRUE(loop_.run(client_->run(std::move(command))));

  for (const char* id : {"a", "b", "c"}) EXPECT_FALSE(get(named(id)));
  EXPECT_EQ(put_if_newer(named("a"), copy_of(0, "ours")), Stored::stored);
  EXPECT_EQ(put_if_newer(named("b"), copy_of(0, "ours")), Stored::stored);
  EXPECT_EQ(bytes("a"), "ours");
  EXPECT_EQ(bytes("b"), "ours");
  EXPECT_EQ(put_if_newer(named("c"), copy_of(0, "ours")), Stored::nowhere);
  EXPECT_TRUE(state_->usable()) << "a key of somebody else's does not make Redis useless";
}

TEST_P(CopiesInRedis, AFullRedisTakesNoneAndIsStillRead) {
  put(named("a"), copy_of(1, "one"));
  backend().on_each_server("config set maxmemory 1");

  EXPECT_EQ(put(named("b"), copy_of(1, "two")), Stored::nowhere);
  EXPECT_EQ(put_if_newer(named("b"), copy_of(1, "two")), Stored::nowhere);
  EXPECT_EQ(bytes("a"), "one");
  EXPECT_EQ(bury(named("a")), Stored::nowhere);
  EXPECT_FALSE(get(named("a"))) << "it is deleted";
  EXPECT_TRUE(state_->usable());

  backend().on_each_server("config set maxmemory 0");
  EXPECT_EQ(put(named("b"), copy_of(1, "two")), Stored::stored);
}

TEST_P(CopiesInRedis, OfAnotherGenerationAreOutOfReach) {
  put(named("a"), copy_of(1, "one"));
  state_->learned(next_generation(), loop_.clock.boot() + Duration(3'600'000));
  EXPECT_FALSE(get(named("a")));
}

}  // namespace
}  // namespace redoubt::conformance
