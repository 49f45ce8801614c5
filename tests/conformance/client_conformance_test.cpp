// The client: pipelines, transactions, scripts and probes answer as a map of keys would, wherever
// the keys are.
#include "tests/conformance/conformance.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string>
#include <vector>

namespace redoubt::conformance {
namespace {

using redis::Command;
using redis::Value;

class ClientConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    client_ = connect();
    prefix_ = fmt::format("rd:test:{}:", next_generation());
  }

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  Result<Value> run(Command command) { return loop_.run(client_->run(std::move(command))); }
  std::string text_of(std::string_view name) {
    auto value = run(Command("GET").key(key(name)).read_only());
    return value && value->is_text() ? value->take_text() : "(none)";
  }

  std::string prefix_;
  std::unique_ptr<redis::Client> client_;
};
CONFORMANCE(ClientConformance, all_but_memory());

// A command, and what the map says its reply is.
struct Expected {
  Command command;
  std::optional<std::string> text;
  std::int64_t number = 0;
};

class Texts {
 public:
  explicit Texts(std::string prefix) : prefix_(std::move(prefix)) {}

  Expected random_command(SeededRandom& random) {
    const std::string name = fmt::format("{}{}", prefix_, random.below(12));
    std::string& text = texts_[name];
    std::string bytes(random.below(30), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    switch (random.below(4)) {
      case 0:
        text = bytes;
        return {Command("SET").key(name).arg(bytes), "OK"};
      case 1:
        text += bytes;
        return {Command("APPEND").key(name).arg(bytes), std::nullopt, size_of(text)};
      case 2:
        return {Command("STRLEN").key(name).read_only(), std::nullopt, size_of(text)};
      default:
        return {Command("GETRANGE").key(name).arg(0).arg(-1).read_only(), text};
    }
  }

 private:
  static std::int64_t size_of(const std::string& text) {
    return static_cast<std::int64_t>(text.size());
  }
  std::string prefix_;
  std::map<std::string, std::string> texts_;
};

TEST_P(ClientConformance, PipelinesAnswerInOrderAndAsIfTheyWereOneByOne) {
  SeededRandom random(31);
  Texts texts(prefix_);
  for (int round = 0; round < 30; ++round) {
    std::vector<Command> commands;
    std::vector<Expected> expected;
    for (std::uint64_t n = 1 + random.below(40); n > 0; --n) {
      Expected one = texts.random_command(random);
      commands.push_back(std::move(one.command));
      expected.push_back(std::move(one));
    }
    const auto replies = loop_.run(client_->run_all(std::move(commands)));
    ASSERT_EQ(replies.size(), expected.size());
    for (std::size_t i = 0; i < replies.size(); ++i) {
      ASSERT_TRUE(replies[i]) << replies[i].error().message << replies[i].error().cause;
      if (expected[i].text) {
        ASSERT_EQ(replies[i]->text(), *expected[i].text);
      } else {
        ASSERT_EQ(replies[i]->as_integer(), expected[i].number);
      }
    }
  }
}

TEST_P(ClientConformance, OneThatFailsInAPipelineKeepsNoneOfTheOthers) {
  ASSERT_TRUE(run(Command("SET").key(key("text")).arg("x")));
  std::vector<Command> commands;
  commands.push_back(Command("SET").key(key("a")).arg("1"));
  commands.push_back(Command("INCR").key(key("text")));
  commands.push_back(Command("INCR").key(key("a")));

  const auto replies = loop_.run(client_->run_all(std::move(commands)));

  EXPECT_TRUE(replies[0]);
  EXPECT_EQ(replies[1].error().slug, "redis_error");
  EXPECT_EQ(replies[2]->as_integer(), 2);
}

TEST_P(ClientConformance, TransactionsAreExecutedWholeOrNotAtAll) {
  const auto transact = [&](std::string_view last) {
    std::vector<Command> commands;
    commands.push_back(Command("INCR").key(key("{t}n")));
    commands.push_back(Command(last).key(key("{t}n")));
    return loop_.run(client_->transaction(std::move(commands)));
  };
  const auto both = transact("INCR");
  ASSERT_TRUE(both) << both.error().message << both.error().cause;
  EXPECT_EQ(both->at(1).as_integer(), 2);
  const auto failed = transact("LLEN");
  ASSERT_TRUE(failed) << failed.error().message << failed.error().cause;
  EXPECT_EQ(failed->at(0).as_integer(), 3) << "what failed when it ran keeps none of the others";
  EXPECT_TRUE(failed->at(1).is_error());
  EXPECT_EQ(transact("NOSUCHCOMMAND").error().slug, "redis_exec_abort");
  EXPECT_EQ(text_of("{t}n"), "3");
}

TEST_P(ClientConformance, ScriptsRunOnceWhetherTheServerKnowsThemOrNot) {
  const redis::Script script("return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2]}");
  const std::string counter = key("n");
  const std::string bytes("\x00\xFF", 2);
  const std::array<std::string_view, 1> keys{counter};
  const std::array<std::string_view, 2> arguments{"5", bytes};
  for (int i = 1; i <= 6; ++i) {
    if (i % 2 == 0) backend().on_each_server("script flush");
    const auto reply = loop_.run(client_->script(script, keys, arguments));
    ASSERT_TRUE(reply) << reply.error().message << reply.error().cause;
    EXPECT_EQ(reply->items()[0].as_integer(), 5 * i);
    EXPECT_EQ(reply->items()[1].text(), bytes);
  }
}

TEST_P(ClientConformance, AProbeWritesAndReads) {
  ASSERT_TRUE(loop_.run(client_->probe(Command("SET").key(key("p")).arg("x").repeatable())));
  auto read = loop_.run(client_->probe(Command("GET").key(key("p")).read_only()));
  ASSERT_TRUE(read) << read.error().cause;
  EXPECT_EQ(read->text(), "x");
}

// The list is the one of the documentation, however many of it run here.
TEST(Backends, AreAlwaysAllOfThem) {
  std::vector<std::string> names;
  for (const BackendKind& kind : backends()) names.push_back(kind.name);
  const std::vector<std::string> wanted{"memory", "resp3",    "resp2",   "tls",  "unix",  "advised",
                                        "bare",   "sentinel", "cluster", "rest", "valkey"};
  ASSERT_GE(names.size(), wanted.size());
  names.resize(wanted.size());
  EXPECT_EQ(names, wanted);
}

}  // namespace
}  // namespace redoubt::conformance
