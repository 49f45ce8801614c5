// The grammar of TOKEN_ENCRYPTION_KEY, and the keys it refuses:
//
//   ring  = hex64 | entry *("," entry)
//   entry = label ":" hex64              label = 1*32(ALPHA / DIGIT / "-" / "_" / ".")
//
// Spaces around entries are allowed: secret files end in a newline. A key that a person typed or
// copied from a document is refused: each rule below rejects a random key with probability under
// 2^-40.
#include "base/text.hpp"
#include "base/vault.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <bitset>
#include <optional>

namespace redoubt {
namespace {

constexpr std::size_t kHexDigits = 64;
constexpr std::size_t kKeysMax = 16;
constexpr std::size_t kLabelMax = 32;
constexpr std::size_t kDistinctMin = 16;  // A random key has about 30 different byte values.

// What documents and compose files carry in place of a key; compared with '-', '_' and ' ' alike.
constexpr std::string_view kPlaceholders[] = {
    "change this",   "changeme", "change me", "replace", "32 byte",
    "generated key", "your ",    "example",   "secret",  "token encryption key",
    "openssl rand"};

// Words whose SHA-256 is the first thing people try for "64 hex digits".
constexpr std::string_view kCommonWords[] = {"",        "test",  "secret", "password", "changeme",
                                             "redoubt", "hello", "key",    "admin",    "1234"};

Error refused(std::string_view which, std::string_view why) {
  return invalid_argument("TOKEN_ENCRYPTION_KEY", fmt::format("{}{}", which, why), "key_refused");
}

bool is_placeholder(std::string_view text) {
  std::string words = to_lower(text);
  std::ranges::replace(words, '-', ' ');
  std::ranges::replace(words, '_', ' ');
  return words.starts_with('<') || words.starts_with('$') ||
         std::ranges::any_of(kPlaceholders, [&words](std::string_view sample) {
           return words.find(sample) != std::string::npos;
         });
}

bool repeats_with_period(const Key256& key, std::size_t period) {
  for (std::size_t i = period; i < key.size(); ++i) {
    if (key[i] != key[i - period]) return false;
  }
  return true;
}

bool counts(const Key256& key) {
  const auto step = static_cast<std::uint8_t>(key[1] - key[0]);
  for (std::size_t i = 1; i < key.size(); ++i) {
    if (static_cast<std::uint8_t>(key[i] - key[i - 1]) != step) return false;
  }
  return true;
}

std::size_t distinct_bytes(const Key256& key) {
  std::bitset<256> seen;
  for (const std::uint8_t byte : key) seen.set(byte);
  return seen.count();
}

bool is_hash_of_common_word(const Key256& key) {
  return std::ranges::any_of(kCommonWords, [&key](std::string_view word) {
    return sha256(as_bytes(word)) == key || sha256(as_bytes(fmt::format("{}\n", word))) == key;
  });
}

// Empty: nothing is wrong with it.
std::string_view weakness(const Key256& key) {
  if (repeats_with_period(key, 1)) return "all bytes are equal";
  for (std::size_t period = 2; period <= key.size() / 2; ++period) {
    if (repeats_with_period(key, period)) return "it repeats a short pattern";
  }
  if (counts(key)) return "its bytes count up or down";
  if (distinct_bytes(key) < kDistinctMin) return "it has too few different bytes to be random";
  if (std::ranges::all_of(key, [](std::uint8_t b) { return b >= 0x20 && b < 0x7f; })) {
    return "it is text written in hex, not random bytes";
  }
  if (is_hash_of_common_word(key)) return "it is the SHA-256 of a common word";
  return {};
}

Result<Key256> parse_key(std::string_view digits, std::string_view which) {
  constexpr std::string_view kRemedy = "; make one with: openssl rand -hex 32";
  if (digits.size() != kHexDigits) {
    if (is_placeholder(digits)) {
      return fail(
          refused(which, fmt::format("is a placeholder from a document, not a key{}", kRemedy)));
    }
    return fail(
        refused(which, fmt::format("must be {} hex digits (32 bytes), but has {} characters{}",
                                   kHexDigits, digits.size(), kRemedy)));
  }
  auto bytes = from_hex(digits);
  if (!bytes) {
    return fail(refused(which, fmt::format("must be {} hex digits; it has other characters{}",
                                           kHexDigits, kRemedy)));
  }
  Key256 key;
  std::ranges::copy(*bytes, key.begin());
  OPENSSL_cleanse(bytes->data(), bytes->size());
  if (const std::string_view why = weakness(key); !why.empty()) {
    return fail(refused(which, fmt::format("is refused: {}{}", why, kRemedy)));
  }
  return key;
}

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= kLabelMax && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

// Entries are named by position, never by content: a key in the label's place must not be quoted.
Result<RingKey> parse_entry(std::string_view entry, std::size_t position, bool alone) {
  const std::string which = alone ? std::string() : fmt::format("key {} of the ring ", position);
  const std::size_t colon = entry.find(':');
  RingKey key;
  if (colon == std::string_view::npos) {
    if (!alone) {
      return fail(refused(which, "needs a label: write a ring as label:hex,label:hex"));
    }
  } else {
    if (!is_label(entry.substr(0, colon))) {
      return fail(refused(
          which, fmt::format("has a bad label: use 1 to {} of A-Z a-z 0-9 - _ .", kLabelMax)));
    }
    key.label = std::string(entry.substr(0, colon));
    entry.remove_prefix(colon + 1);
  }
  RD_TRY(material, parse_key(entry, which));
  key.key = material;
  const Key256 id = hkdf_sha256(key.key, "redoubt kid");
  std::copy_n(id.begin(), key.id.size(), key.id.begin());
  return key;
}

}  // namespace

Result<std::vector<RingKey>> parse_key_ring(const Secret& text) {
  const std::string_view whole = trim(text.reveal());
  if (whole.empty()) return fail(refused("", "is empty; make a key with: openssl rand -hex 32"));

  const std::vector<std::string_view> entries = split(whole, ',');
  if (entries.size() > kKeysMax) {
    return fail(refused("", fmt::format("has {} keys; at most {} are allowed: retire old ones",
                                        entries.size(), kKeysMax)));
  }
  std::vector<RingKey> ring;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    RD_TRY(key, parse_entry(trim(entries[i]), i + 1, entries.size() == 1));
    for (std::size_t j = 0; j < ring.size(); ++j) {
      if (ring[j].label == key.label) {
        return fail(refused("", fmt::format("keys {} and {} have the same label", j + 1, i + 1)));
      }
      if (ring[j].id == key.id) {
        return fail(refused("", fmt::format("keys {} and {} are the same key", j + 1, i + 1)));
      }
    }
    ring.push_back(std::move(key));
  }
  return ring;
}

}  // namespace redoubt
