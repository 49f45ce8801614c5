#include "base/vault.hpp"

#include "base/assert.hpp"

#include <boost/container/small_vector.hpp>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <tuple>
#include <utility>

namespace redoubt {
namespace {

constexpr std::uint8_t kFormat = 0x01;
constexpr std::size_t kHeader = 1 + 4;
// A derived key is about 100 bytes; past the bound the table starts anew, which costs two HMACs
// each.
constexpr std::size_t kDerivedMax = 4096;

// Most lists of parts fit, and need no allocation.
using Parts = boost::container::small_vector<std::uint8_t, 256>;

// Four bytes of length, big-endian, before each part: no two lists of parts have one spelling.
void append_part(Parts& out, ByteView part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  const std::array<std::uint8_t, 4> length{
      static_cast<std::uint8_t>(size >> 24), static_cast<std::uint8_t>(size >> 16),
      static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)};
  out.insert(out.end(), length.begin(), length.end());
  out.insert(out.end(), part.begin(), part.end());
}

Parts associated_data(const KeyId& kid, const SealedAs& what) {
  Parts out;
  append_part(out, ByteView(&kFormat, 1));
  append_part(out, kid);
  append_part(out, as_bytes(what.tenant));
  append_part(out, as_bytes(what.kind));
  append_part(out, what.record_id);
  std::array<std::uint8_t, 8> version;
  for (std::size_t i = 0; i < version.size(); ++i) {
    version[i] =
        static_cast<std::uint8_t>(static_cast<std::uint64_t>(what.version) >> (56 - 8 * i));
  }
  append_part(out, version);
  return out;
}

Parts derivation_info(const SealedAs& what) {
  Parts parts;
  append_part(parts, as_bytes("redoubt seal"));
  append_part(parts, as_bytes(what.kind));
  append_part(parts, as_bytes(what.tenant));
  return parts;
}

// A key ring and the keys derived from it so far. Replaced as a whole on reload, so that a derived
// key never outlives its ring.
class Keys {
 public:
  explicit Keys(std::vector<RingKey> ring) : ring_(std::move(ring)) {
    RD_ASSERT(!ring_.empty(), "a vault needs a key");
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() {
    for (RingKey& key : ring_) OPENSSL_cleanse(key.key.data(), key.key.size());
  }

  const std::vector<RingKey>& ring() const { return ring_; }

  const RingKey* find(const KeyId& id) const {
    const auto it = std::ranges::find(ring_, id, &RingKey::id);
    return it == ring_.end() ? nullptr : &*it;
  }

  std::shared_ptr<const Xaes256Gcm> derived(const RingKey& key, const SealedAs& what) {
    {
      const std::shared_lock lock(mutex_);
      const auto it = derived_.find(Name<std::string_view>{key.id, what.kind, what.tenant});
      if (it != derived_.end()) return it->second;
    }
    const Parts info = derivation_info(what);
    Key256 material = hkdf_sha256(key.key, as_text(info));
    auto made = std::make_shared<const Xaes256Gcm>(material);
    OPENSSL_cleanse(material.data(), material.size());
    const std::unique_lock lock(mutex_);
    if (derived_.size() >= kDerivedMax) derived_.clear();
    Name<std::string> name{key.id, std::string(what.kind), std::string(what.tenant)};
    derived_.emplace(std::move(name), made);
    return made;
  }

 private:
  template <class Text>
  using Name = std::tuple<KeyId, Text, Text>;  // Of a derived key: the ring's, kind and tenant.

  std::vector<RingKey> ring_;
  std::shared_mutex mutex_;
  std::map<Name<std::string>, std::shared_ptr<const Xaes256Gcm>, std::less<>> derived_;
};

std::uint64_t nonzero(std::uint64_t value) {
  return value == 0 ? 1 : value;
}

}  // namespace

std::string format_key_id(const KeyId& id) {
  return to_hex(id);
}

struct Vault::Impl {
  Random& random;
  mutable std::shared_mutex mutex;  // Of the two below.
  std::shared_ptr<Keys> keys;
  std::optional<Key256> pepper;
  std::array<std::uint64_t, 2> process_key{};

  explicit Impl(Random& source) : random(source) {
    for (std::uint64_t& half : process_key) half = nonzero(random.next_u64());
  }
  ~Impl() {
    if (pepper) OPENSSL_cleanse(pepper->data(), pepper->size());
  }
  std::shared_ptr<Keys> current() const {
    const std::shared_lock lock(mutex);
    return keys;
  }
};

Vault::Vault(std::vector<RingKey> ring, Random& random) : impl_(std::make_unique<Impl>(random)) {
  reload(std::move(ring));
}
Vault::~Vault() = default;

Bytes Vault::seal(const SealedAs& what, ByteView plaintext) const {
  const std::shared_ptr<Keys> keys = impl_->current();
  const RingKey& key = keys->ring().front();
  const Bytes sealed =
      keys->derived(key, what)->seal(impl_->random, plaintext, associated_data(key.id, what));
  Bytes out;
  out.reserve(kHeader + sealed.size());
  out.push_back(kFormat);
  out.insert(out.end(), key.id.begin(), key.id.end());
  out.insert(out.end(), sealed.begin(), sealed.end());
  return out;
}

Result<Bytes> Vault::open(const SealedAs& what, ByteView envelope) const {
  const auto invalid = [&what](std::string_view why) {
    return Error(Errc::internal, "sealed_payload_invalid", "stored data cannot be read",
                 fmt::format("a sealed {} does not open: {}", what.kind, why));
  };
  if (envelope.size() < kHeader + Xaes256Gcm::kOverhead) return fail(invalid("it is too short"));
  if (envelope[0] != kFormat) return fail(invalid("its format is unknown"));

  const KeyId kid = kid_of(envelope);
  const std::shared_ptr<Keys> keys = impl_->current();
  const RingKey* const key = keys->find(kid);
  if (key == nullptr) {
    return fail(Error(Errc::internal, "key_missing", "stored data cannot be read",
                      fmt::format("a {} is sealed under key {}, which is not in the key ring",
                                  what.kind, format_key_id(kid))));
  }
  auto opened =
      keys->derived(*key, what)->open(envelope.subspan(kHeader), associated_data(kid, what));
  if (!opened) return fail(invalid("it was altered, or moved from another place"));
  return std::move(*opened);
}

KeyId Vault::kid_of(ByteView envelope) {
  KeyId id{};
  if (envelope.size() >= kHeader) std::copy_n(envelope.begin() + 1, id.size(), id.begin());
  return id;
}

KeyId Vault::primary() const {
  return impl_->current()->ring().front().id;
}

std::vector<RingKey> Vault::ring() const {
  const std::shared_ptr<Keys> keys = impl_->current();
  std::vector<RingKey> out;
  for (const RingKey& key : keys->ring())
    out.push_back({.id = key.id, .label = key.label, .key = {}});
  return out;
}

bool Vault::has(const KeyId& id) const {
  return impl_->current()->find(id) != nullptr;
}

void Vault::reload(std::vector<RingKey> ring) {
  auto keys = std::make_shared<Keys>(std::move(ring));
  const std::unique_lock lock(impl_->mutex);
  impl_->keys = std::move(keys);
}

void Vault::set_pepper(const Key256& pepper) {
  const std::unique_lock lock(impl_->mutex);
  impl_->pepper = pepper;
}

HmacSha256 Vault::credential_hash(std::string_view purpose) const {
  const std::shared_lock lock(impl_->mutex);
  RD_ASSERT(impl_->pepper.has_value(), "credentials are hashed before the pepper is known");
  Key256 key = hkdf_sha256(*impl_->pepper, fmt::format("redoubt credential {}", purpose));
  HmacSha256 hmac{key};
  OPENSSL_cleanse(key.data(), key.size());
  return hmac;
}

std::array<std::uint64_t, 2> Vault::process_key() const {
  return impl_->process_key;
}

}  // namespace redoubt
