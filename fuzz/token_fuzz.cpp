// Whatever bytes come as a session token: no crash, and what is accepted is what was written here.
#include "base/random.hpp"
#include "base/vault.hpp"
#include "fuzz/check.hpp"
#include "services/sessions/sealed_token.hpp"
#include "services/sessions/token.hpp"

namespace redoubt::sessions {
namespace {

using fuzz::check;

struct Issuer {
  SeededRandom random{1};
  Vault vault;
  TokenCodec codec;

  Issuer() : vault({ring_key()}, random), codec(with_pepper(vault)) {}

  static RingKey ring_key() {
    RingKey key;
    for (std::size_t i = 0; i < key.key.size(); ++i) key.key[i] = static_cast<std::uint8_t>(i * 7);
    key.id = {1, 2, 3, 4};
    return key;
  }
  static const Vault& with_pepper(Vault& vault) {
    Key256 pepper{};
    pepper.fill(0x5a);
    vault.set_pepper(pepper);
    return vault;
  }
};

// The input, and the input with a right checksum, so that the fuzzer gets behind it.
void check_text(const Issuer& issuer, std::string_view text) {
  if (const auto parts = issuer.codec.authenticate(text)) {
    check(issuer.codec.write(*parts) == text);
  }
  if (const auto sealed = open_sealed_token(issuer.vault, text)) {
    check(!sealed->session.tenant.empty());
  }
}

// A token that was issued, with one place changed as the input says, is no token.
void check_change(const Issuer& issuer, std::string_view text) {
  if (text.size() < 2) return;
  TokenParts parts;
  std::copy_n(text.begin(), std::min(text.size(), parts.secret.size()), parts.secret.begin());
  std::string token = issuer.codec.write(parts);
  check(issuer.codec.authenticate(token).has_value());
  const std::size_t place = static_cast<std::uint8_t>(text[0]) % token.size();
  if (token[place] == text[1]) return;
  token[place] = text[1];
  check(!issuer.codec.authenticate(token));
}

}  // namespace

void fuzz_one(std::string_view text) {
  static const Issuer issuer;
  check_text(issuer, text);
  std::string with_crc(text);
  append_crc(with_crc);
  check_text(issuer, with_crc);
  check_change(issuer, text);
}

}  // namespace redoubt::sessions

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  redoubt::sessions::fuzz_one(redoubt::fuzz::text_of(data, size));
  return 0;
}
