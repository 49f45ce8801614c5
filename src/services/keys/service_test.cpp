#include "services/keys/service.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "record/audit.hpp"
#include "record/key_rows.hpp"
#include "tests/support/context.hpp"
#include "tests/support/event_log.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace redoubt::keys {
namespace {

constexpr std::string_view kA = "8f1d0c6b5a4e39278160f2e3d4c5b6a7988a7b6c5d4e3f201122b3c4d5e6f708";
constexpr std::string_view kB = "c3a1f5e79b2d4860711f3e5a7c9bd8e6f4021324354657687990a1b2c3d4e5f6";
constexpr std::string_view kC = "17e2c98f40b6d35aa1cc0f5e7283946bd0e1f2031425364758697a8b9cadbecf";

std::string entry(std::string_view label, std::string_view hex) {
  return std::string(label) + ":" + std::string(hex);
}

// A noun whose sealed rows live in memory, so that a test can look into them.
class Notes final : public record::Resealable {
 public:
  explicit Notes(Vault& vault) : vault_(vault) {}

  void add(std::string_view text) {
    rows.push_back(vault_.seal(place(rows.size()), as_bytes(text)));
  }
  std::string read(std::size_t i) const {
    return std::string(as_text(vault_.open(place(i), rows[i]).value()));
  }

  std::string_view name() const override { return "notes"; }
  Task<record::ResealProgress> reseal_some(record::ResealStep step) override {
    ++steps;
    if (broken) co_return fail(internal("the disk of the notes is on fire"));
    record::ResealProgress progress;
    std::size_t i = step.after.empty() ? 0 : step.after[0] + 1U;
    for (std::size_t seen = 0; i < rows.size() && seen < step.batch; ++i) {
      if (Vault::kid_of(rows[i]) != step.under) continue;
      ++seen;
      progress.last = {static_cast<std::uint8_t>(i)};
      const auto text = vault_.open(place(i), rows[i]);
      if (!text) {
        ++progress.unreadable;
        progress.example = "note " + std::to_string(i);
        continue;
      }
      rows[i] = vault_.seal(place(i), *text);
      ++progress.resealed;
    }
    progress.done = i == rows.size();
    co_return progress;
  }
  Task<std::vector<KeyId>> keys_in_use() override {
    std::vector<KeyId> keys;
    for (const Bytes& row : rows) keys.push_back(Vault::kid_of(row));
    co_return keys;
  }
  Task<std::int64_t> rows_needing(KeyId id) override {
    co_return std::ranges::count_if(rows, [id](const Bytes& r) { return Vault::kid_of(r) == id; });
  }

  std::vector<Bytes> rows;
  bool broken = false;
  int steps = 0;

 private:
  SealedAs place(std::size_t i) const {
    return {
        .tenant = "acme", .kind = "note", .record_id = {}, .version = static_cast<std::int64_t>(i)};
  }
  Vault& vault_;
};

class KeyRingTest : public testing::Test {
 protected:
  void SetUp() override { record_ = home.open(clock, metrics); }
  void TearDown() override {
    ring.reset();
    if (record_) record_->stop();
    if (!directory.empty()) std::filesystem::remove_all(directory);
  }

  void use_setting(std::string text) {
    setting = std::move(text);
    open({.read = [this]() -> Result<std::optional<Secret>> { return Secret(setting); }});
  }
  void use_file() {
    std::string pattern = testing::TempDir() + "keyringXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    open({.read = []() -> Result<std::optional<Secret>> { return std::nullopt; },
          .data_dir = directory});
  }
  // As after a restart, over the same record.
  void open(RingSettings settings) {
    auto opened = open_ring_source(std::move(settings), random);
    ASSERT_TRUE(opened) << opened.error().message;
    source = std::move(*opened);
    std::vector<Bytes> rows = notes ? notes->rows : std::vector<Bytes>();
    vault = std::make_unique<Vault>(source->load().value(), random);
    notes = std::make_unique<Notes>(*vault);
    notes->rows = std::move(rows);
    ring = make_key_ring({*source, *record_, *vault, clock, random, log, metrics, sealed_tokens});
    ring->add(*notes);
  }
  Result<KeyRingStatus> rotate() {
    const Caller caller = test::admin_of("default");
    const Context context = test::context_of(caller);
    return test::run(ring->rotate(context));
  }
  KeyRingStatus status() {
    const Caller caller = test::admin_of("default");
    const Context context = test::context_of(caller);
    return test::run(ring->status(context)).value();
  }
  // As a session token does that carries itself.
  void claim_primary_until(WallTime until) {
    const KeyId primary = vault->primary();
    std::function<Task<bool>(record::Unit&)> work = [primary, until](record::Unit& unit) {
      return record::note_sealed_until(unit, primary, until);
    };
    ASSERT_TRUE(test::run(record_->write<bool>(work)).value());
  }
  int run_to_end(std::size_t batch) {
    int runs = 1;
    while (test::run(ring->run_once(batch)).value()) ++runs;
    return runs;
  }

  test::RecordHome home;
  ManualClock clock;
  SeededRandom random{7};
  Metrics metrics;
  test::EventLog log;
  bool sealed_tokens = false;
  std::string setting;
  std::string directory;
  std::unique_ptr<record::Record> record_;
  std::unique_ptr<RingSource> source;
  std::unique_ptr<Vault> vault;
  std::unique_ptr<Notes> notes;
  std::unique_ptr<KeyRing> ring;
};

TEST_F(KeyRingTest, KeepsThePepperOverRestarts) {
  use_setting(std::string(kA));
  ASSERT_TRUE(test::run(ring->start()));
  const Digest256 before = vault->credential_hash("api key")(as_bytes("x"));

  use_setting(std::string(kA));
  ASSERT_TRUE(test::run(ring->start()));

  EXPECT_EQ(vault->credential_hash("api key")(as_bytes("x")), before);
}

TEST_F(KeyRingTest, ResealsEveryNounInBatchesAfterARotation) {
  use_setting(entry("old", kA));
  ASSERT_TRUE(test::run(ring->start()));
  for (int i = 0; i < 25; ++i) notes->add("note " + std::to_string(i));
  const Digest256 credential = vault->credential_hash("api key")(as_bytes("x"));

  setting = entry("new", kB) + "," + entry("old", kA);
  const auto rotated = rotate();

  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_TRUE(rotated->resealing);
  EXPECT_EQ(rotated->remaining, 26);
  EXPECT_EQ(rotated->keys[0].label, "new");
  EXPECT_TRUE(rotated->keys[0].primary);
  EXPECT_EQ(rotated->keys[1].rows, 26);
  EXPECT_EQ(rotate().error().slug, "rotation_running");
  EXPECT_EQ(run_to_end(10), 3);
  EXPECT_FALSE(status().resealing);
  EXPECT_EQ(status().remaining, 0);
  EXPECT_EQ(status().resealed, 26);
  EXPECT_EQ(notes->read(24), "note 24");

  use_setting(entry("new", kB));  // The old key may leave now.
  ASSERT_TRUE(test::run(ring->start()));
  EXPECT_EQ(vault->credential_hash("api key")(as_bytes("x")), credential);
  EXPECT_EQ(notes->read(0), "note 0");
}

TEST_F(KeyRingTest, RefusesToStartWithoutAKeyThatRowsNeedAndNamesIt) {
  use_setting(std::string(kA));
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("one");
  notes->add("two");
  const std::string kid = format_key_id(vault->primary());

  use_setting(std::string(kB));
  const auto started = test::run(ring->start());

  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().slug, "key_needed");
  EXPECT_NE(started.error().message.find("key " + kid), std::string::npos);
  EXPECT_NE(started.error().message.find("1 pepper, 2 notes"), std::string::npos)
      << started.error().message;
}

TEST_F(KeyRingTest, RefusesAReloadThatDropsAKeyInUseAndGoesOnWithTheOldRing) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());

  setting = entry("b", kB);
  const auto dropped = test::run(ring->reload());
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().slug, "key_needed");
  EXPECT_NE(dropped.error().message.find("1 pepper"), std::string::npos);
  setting = entry("c", kC) + "," + entry("a", kA);  // The primary itself is gone.
  EXPECT_EQ(test::run(ring->reload()).error().slug, "key_needed");
  setting = "nonsense";
  EXPECT_EQ(test::run(ring->reload()).error().code, Errc::invalid_argument);

  EXPECT_EQ(status().keys.size(), 2U);
  run_to_end(10);
  clock.advance(std::chrono::seconds(61));
  setting = entry("b", kB);
  EXPECT_TRUE(test::run(ring->reload()));
  EXPECT_EQ(status().keys.size(), 1U);
}

TEST_F(KeyRingTest, ReloadTakesUpANewPrimaryAndResealsToIt) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  EXPECT_TRUE(test::run(ring->reload())) << "nothing new is not an error";
  EXPECT_FALSE(status().resealing);

  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(test::run(ring->reload()));

  EXPECT_TRUE(status().resealing);
  run_to_end(1);
  EXPECT_EQ(status().remaining, 0);
}

TEST_F(KeyRingTest, SaysHowToRotateWhenTheSettingHasNothingNew) {
  use_setting(std::string(kA));
  ASSERT_TRUE(test::run(ring->start()));

  const auto rotated = rotate();

  ASSERT_FALSE(rotated);
  EXPECT_EQ(rotated.error().code, Errc::conflict);
  EXPECT_EQ(rotated.error().slug, "nothing_to_rotate_to");
  EXPECT_NE(rotated.error().message.find("new:<hex>,old:<hex>"), std::string::npos);
}

TEST_F(KeyRingTest, MakesTheNewKeyItselfWithAFileAndRetiresTheOneBeforeLast) {
  use_file();
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("kept");

  ASSERT_TRUE(rotate());
  run_to_end(10);
  clock.advance(std::chrono::seconds(61));
  const auto second = rotate();

  ASSERT_TRUE(second) << second.error().message;
  ASSERT_EQ(second->keys.size(), 2U);  // k1 had no rows left.
  EXPECT_EQ(second->keys[0].label, "k3");
  EXPECT_EQ(second->keys[1].label, "k2");
  run_to_end(10);
  EXPECT_EQ(notes->read(0), "kept");

  open({.read = []() -> Result<std::optional<Secret>> { return std::nullopt; },
        .data_dir = directory});
  ASSERT_TRUE(test::run(ring->start()));
  EXPECT_EQ(notes->read(0), "kept");
}

TEST_F(KeyRingTest, KeepsAKeyWhileStragglersMayNeedIt) {
  use_file();
  ASSERT_TRUE(test::run(ring->start()));
  ASSERT_TRUE(rotate());
  run_to_end(10);

  const auto at_once = rotate();

  ASSERT_TRUE(at_once);
  EXPECT_EQ(at_once->keys.size(), 3U);
}

TEST_F(KeyRingTest, KeepsAKeyOnReloadWhileStragglersMayNeedIt) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("sealed before the rotation, committed after it");
  const Bytes late = notes->rows[0];
  notes->rows.clear();
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(test::run(ring->reload()));
  run_to_end(10);

  setting = entry("b", kB);
  const auto at_once = test::run(ring->reload());
  ASSERT_FALSE(at_once);
  EXPECT_EQ(at_once.error().slug, "key_needed");

  notes->rows.push_back(late);
  clock.advance(std::chrono::seconds(61));
  EXPECT_EQ(test::run(ring->reload()).error().slug, "key_needed") << "the row is counted now";
  run_to_end(10);
  EXPECT_TRUE(test::run(ring->reload()));
  EXPECT_EQ(notes->read(0), "sealed before the rotation, committed after it");
}

TEST_F(KeyRingTest, NamesAKeyThatOnlyRowsKnow) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());
  notes->add("later");
  run_to_end(10);
  clock.advance(std::chrono::seconds(61));
  setting = entry("b", kB);
  ASSERT_TRUE(test::run(ring->reload()));
  const RingKey forgotten = parse_key_ring(Secret(entry("a", kA))).value().front();
  notes->rows[0] = Vault({forgotten}, random).seal({}, as_bytes("x"));

  clock.advance(std::chrono::seconds(61));
  run_to_end(10);
  EXPECT_EQ(status().unreadable, 1);
  use_setting(entry("b", kB));
  const auto started = test::run(ring->start());

  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find(format_key_id(forgotten.id)), std::string::npos);
}

TEST_F(KeyRingTest, KeepsAKeyThatGoodSealedTokensNeed) {
  sealed_tokens = true;
  use_file();
  ASSERT_TRUE(test::run(ring->start()));
  const WallTime end = clock.wall() + std::chrono::hours(1);
  claim_primary_until(end);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(rotate());
    run_to_end(10);
    clock.advance(std::chrono::seconds(61));
  }

  const KeyRingStatus shown = status();
  ASSERT_EQ(shown.keys.size(), 3U);  // k2 has left.
  EXPECT_EQ(shown.keys.back().label, "k1");
  EXPECT_EQ(shown.keys.back().sealed_until, end);
  EXPECT_EQ(shown.keys.front().sealed_until, std::nullopt);

  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(rotate()->keys.size(), 2U);
}

TEST_F(KeyRingTest, RefusesARingWithoutAKeyThatGoodSealedTokensNeed) {
  sealed_tokens = true;
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  claim_primary_until(clock.wall() + std::chrono::hours(1));
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());
  run_to_end(10);
  clock.advance(std::chrono::seconds(61));

  setting = entry("b", kB);
  const auto refused = test::run(ring->reload());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "key_needed");
  EXPECT_NE(refused.error().message.find("that session tokens until"), std::string::npos)
      << refused.error().message;
  use_setting(entry("b", kB));
  EXPECT_EQ(test::run(ring->start()).error().slug, "key_needed");

  sealed_tokens = false;  // Nothing accepts them any more.
  use_setting(entry("b", kB));
  EXPECT_TRUE(test::run(ring->start()));
}

TEST_F(KeyRingTest, FindsRowsThatArriveUnderTheOldKeyAfterTheReseal) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("late");
  const Bytes late = notes->rows[0];
  notes->rows.clear();
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());
  run_to_end(10);

  notes->rows.push_back(late);
  clock.advance(std::chrono::seconds(61));
  run_to_end(10);

  EXPECT_EQ(status().remaining, 0);
  EXPECT_EQ(notes->read(0), "late");
}

TEST_F(KeyRingTest, GoesOnResealingAfterARestartInTheMiddle) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  for (int i = 0; i < 5; ++i) notes->add("n");
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());
  ASSERT_TRUE(test::run(ring->run_once(2)).value());

  use_setting(setting);
  ASSERT_TRUE(test::run(ring->start()));

  EXPECT_TRUE(status().resealing);
  EXPECT_EQ(status().remaining, 3);
  run_to_end(2);
  EXPECT_EQ(status().remaining, 0);
}

TEST_F(KeyRingTest, ShowsWhyResealingIsStuckAndSealsTheOtherNouns) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("n");
  notes->broken = true;
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());

  EXPECT_FALSE(test::run(ring->run_once(10)));

  EXPECT_EQ(status().remaining, 1);  // The pepper went on.
  EXPECT_NE(status().trouble.find("on fire"), std::string::npos);
  notes->broken = false;
  run_to_end(10);
  EXPECT_EQ(status().trouble, "");
}

TEST_F(KeyRingTest, PassesRowsByThatDoNotOpenAndKeepsTheirKey) {
  use_file();
  ASSERT_TRUE(test::run(ring->start()));
  for (int i = 0; i < 5; ++i) notes->add("n");
  notes->rows[0].back() ^= 1;
  ASSERT_TRUE(rotate());

  run_to_end(2);

  const KeyRingStatus shown = status();
  EXPECT_FALSE(shown.resealing);
  EXPECT_EQ(shown.resealed, 5);  // The pepper and four notes.
  EXPECT_EQ(shown.remaining, 0);
  EXPECT_EQ(shown.unreadable, 1);
  EXPECT_NE(shown.trouble.find("1 notes under key " + shown.keys[1].id), std::string::npos);
  EXPECT_NE(shown.trouble.find("note 0"), std::string::npos) << shown.trouble;

  clock.advance(std::chrono::seconds(61));
  const auto again = rotate();
  ASSERT_TRUE(again) << "rotating goes on: " << again.error().message;
  run_to_end(2);
  clock.advance(std::chrono::seconds(61));
  ASSERT_EQ(rotate()->keys.size(), 3U);
  EXPECT_EQ(status().keys.back().id, shown.keys[1].id) << "the key is still needed";
}

TEST_F(KeyRingTest, LooksAtUnreadableRowsOnceAnHourAndLogsThemThen) {
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  notes->add("n");
  notes->rows[0].back() ^= 1;
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());
  run_to_end(10);
  const int steps = notes->steps;
  const auto logged = [this] { return log.count("keyring.reseal.unreadable"); };
  EXPECT_EQ(logged(), 1);

  for (int i = 0; i < 58; ++i) {
    clock.advance(std::chrono::minutes(1));
    run_to_end(10);
  }
  EXPECT_EQ(notes->steps, steps);
  EXPECT_EQ(logged(), 1);

  clock.advance(std::chrono::minutes(3));
  run_to_end(10);
  EXPECT_GT(notes->steps, steps);
  EXPECT_EQ(logged(), 2);
}

TEST_F(KeyRingTest, AuditsAndAnnouncesARotation) {
  std::vector<record::JournalEntry> heard;
  record_->subscribe([&heard](const record::JournalEntry& e) { heard.push_back(e); });
  use_setting(entry("a", kA));
  ASSERT_TRUE(test::run(ring->start()));
  setting = entry("b", kB) + "," + entry("a", kA);
  ASSERT_TRUE(rotate());

  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].kind, record::JournalEntry::Kind::key_ring);
  std::function<Task<record::AuditPage>(sql::Transaction&)> read = [](sql::Transaction& tx) {
    record::AuditQuery query;
    query.tenant = "default";
    return record::list_audit(tx, query);
  };
  const auto page = test::run(record_->read(read));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->entries.size(), 1U);
  EXPECT_EQ(page->entries[0].event.action, "keyring.rotated");
  EXPECT_EQ(page->entries[0].event.target, format_key_id(vault->primary()));
  EXPECT_EQ(page->entries[0].event.principal, "key:test");
}

}  // namespace
}  // namespace redoubt::keys
