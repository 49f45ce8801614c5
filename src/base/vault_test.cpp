#include "base/vault.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace redoubt {
namespace {

constexpr std::string_view kOld =
    "8f1d0c6b5a4e39278160f2e3d4c5b6a7988a7b6c5d4e3f201122b3c4d5e6f708";
constexpr std::string_view kNew =
    "c3a1f5e79b2d4860711f3e5a7c9bd8e6f4021324354657687990a1b2c3d4e5f6";

std::vector<RingKey> ring_of(std::string text) {
  return parse_key_ring(Secret(std::move(text))).value();
}
std::vector<RingKey> old_ring() {
  return ring_of("old:" + std::string(kOld));
}
std::vector<RingKey> both() {
  return ring_of("new:" + std::string(kNew) + ",old:" + std::string(kOld));
}

const Bytes kRecord{1, 2, 3, 4};

SealedAs session_row() {
  return {.tenant = "acme", .kind = "session", .record_id = kRecord, .version = 7};
}

TEST(Vault, OpensWhatItSealed) {
  SeededRandom random(1);
  const Vault vault(old_ring(), random);

  const Bytes envelope = vault.seal(session_row(), as_bytes("{\"role\":\"writer\"}"));

  EXPECT_EQ(envelope[0], 0x01);
  EXPECT_EQ(Vault::kid_of(envelope), vault.primary());
  EXPECT_EQ(envelope.size(), 1U + 4 + 24 + 17 + 16);
  EXPECT_EQ(as_text(vault.open(session_row(), envelope).value()), "{\"role\":\"writer\"}");
}

TEST(Vault, RefusesEveryFlippedBitAndEveryTruncationOfAnEnvelope) {
  SeededRandom random(2);
  const Vault vault(old_ring(), random);
  const Bytes envelope = vault.seal(session_row(), as_bytes("payload"));

  for (std::size_t bit = 0; bit < envelope.size() * 8; ++bit) {
    Bytes bent = envelope;
    bent[bit / 8] = static_cast<std::uint8_t>(bent[bit / 8] ^ 1 << bit % 8);
    const auto opened = vault.open(session_row(), bent);
    ASSERT_FALSE(opened) << "bit " << bit;
    const bool in_kid = bit / 8 >= 1 && bit / 8 < 5;
    EXPECT_EQ(opened.error().slug, in_kid ? "key_missing" : "sealed_payload_invalid");
  }
  for (std::size_t size = 0; size < envelope.size(); ++size) {
    EXPECT_FALSE(vault.open(session_row(), ByteView(envelope).first(size))) << "size " << size;
  }
}

TEST(Vault, RefusesACiphertextMovedElsewhere) {
  SeededRandom random(3);
  const Vault vault(both(), random);
  const Bytes envelope = vault.seal(session_row(), as_bytes("payload"));
  const Bytes other_id{1, 2, 3, 5};

  SealedAs tenant = session_row();
  tenant.tenant = "acmf";
  SealedAs kind = session_row();
  kind.kind = "cache";
  SealedAs record = session_row();
  record.record_id = other_id;
  SealedAs version = session_row();
  version.version = 8;
  SealedAs shifted = session_row();  // The same bytes with the boundary elsewhere.
  shifted.tenant = "acmes";
  shifted.kind = "ession";

  for (const SealedAs& place : {tenant, kind, record, version, shifted}) {
    const auto opened = vault.open(place, envelope);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().slug, "sealed_payload_invalid");
    EXPECT_EQ(opened.error().message.find("payload"), std::string::npos);
  }
}

TEST(Vault, RefusesAnEnvelopeRelabelledWithAnotherKeyOfTheRing) {
  SeededRandom random(4);
  const Vault vault(both(), random);
  Bytes envelope = vault.seal(session_row(), as_bytes("payload"));
  const KeyId old_id = old_ring().front().id;
  std::ranges::copy(old_id, envelope.begin() + 1);

  EXPECT_EQ(vault.open(session_row(), envelope).error().slug, "sealed_payload_invalid");
}

TEST(Vault, KeepsOpeningOldEnvelopesAfterAReloadUntilTheirKeyLeaves) {
  SeededRandom random(5);
  Vault vault(old_ring(), random);
  const Bytes before = vault.seal(session_row(), as_bytes("payload"));

  vault.reload(both());
  EXPECT_TRUE(vault.open(session_row(), before));
  EXPECT_NE(Vault::kid_of(vault.seal(session_row(), as_bytes("payload"))), Vault::kid_of(before));

  vault.reload(ring_of("new:" + std::string(kNew)));
  EXPECT_EQ(vault.open(session_row(), before).error().slug, "key_missing");
  EXPECT_FALSE(vault.has(Vault::kid_of(before)));
}

TEST(Vault, ShowsItsRingWithoutKeys) {
  SeededRandom random(6);
  const Vault vault(both(), random);

  const std::vector<RingKey> shown = vault.ring();

  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[0].label, "new");
  EXPECT_EQ(shown[1].label, "old");
  EXPECT_EQ(shown[0].key, Key256{});
  EXPECT_EQ(shown[0].id, vault.primary());
}

TEST(Vault, NamesAKeyByItselfAndNotByItsLabel) {
  EXPECT_EQ(ring_of("a:" + std::string(kOld))[0].id, ring_of(std::string(kOld))[0].id);
  EXPECT_NE(ring_of(std::string(kOld))[0].id, ring_of(std::string(kNew))[0].id);
  EXPECT_EQ(format_key_id(KeyId{0xde, 0xad, 0x00, 0x01}), "dead0001");
}

TEST(Vault, HashesCredentialsByPurposeAndPepperWhateverTheRing) {
  SeededRandom random(7);
  Vault vault(old_ring(), random);
  Key256 pepper;
  pepper.fill(9);
  vault.set_pepper(pepper);
  const Digest256 token = vault.credential_hash("session token")(as_bytes("x"));

  EXPECT_NE(token, vault.credential_hash("api key")(as_bytes("x")));
  vault.reload(both());
  EXPECT_EQ(token, vault.credential_hash("session token")(as_bytes("x")));
  pepper.fill(10);
  vault.set_pepper(pepper);
  EXPECT_NE(token, vault.credential_hash("session token")(as_bytes("x")));
}

TEST(Vault, StaysWithinItsBoundOfDerivedKeys) {
  SeededRandom random(8);
  const Vault vault(old_ring(), random);
  const Bytes first = vault.seal(session_row(), as_bytes("payload"));

  for (int i = 0; i < 5000; ++i) {
    const std::string tenant = "t" + std::to_string(i);
    SealedAs place = session_row();
    place.tenant = tenant;
    ASSERT_TRUE(vault.open(place, vault.seal(place, as_bytes("payload"))));
  }

  EXPECT_TRUE(vault.open(session_row(), first));
}

TEST(Vault, OpensAndReloadsFromSeveralThreads) {
  SeededRandom random(9);
  Vault vault(both(), random);
  const Bytes envelope = vault.seal(session_row(), as_bytes("payload"));
  int failures = 0;

  std::thread reader([&vault, &envelope, &failures] {
    for (int i = 0; i < 2000; ++i) failures += vault.open(session_row(), envelope) ? 0 : 1;
  });
  for (int i = 0; i < 200; ++i) vault.reload(both());
  reader.join();

  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace redoubt
