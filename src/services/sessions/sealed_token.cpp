#include "services/sessions/sealed_token.hpp"

#include "services/sessions/token.hpp"

#include "base/bytes.hpp"
#include "base/packed.hpp"

namespace redoubt::sessions {
namespace {

// Inside the seal, big-endian:  layout (1) | user epoch | tenant epoch | created | expires (8 each)
// | then id, tenant, user, agent, device, address and data, each a length (4) and its bytes.
constexpr std::uint8_t kLayout = 1;

// The tenant is inside: it is not known before the seal is open.
constexpr SealedAs kSealedAs{.tenant = {}, .kind = "session token", .record_id = {}, .version = 0};

}  // namespace

WrittenToken write_sealed_token(const Vault& vault, const SealedToken& sealed) {
  const Session& session = sealed.session;
  PackedWriter writer;
  writer.integer(kLayout, 1);
  writer.integer(static_cast<std::uint64_t>(sealed.user_epoch));
  writer.integer(static_cast<std::uint64_t>(sealed.tenant_epoch));
  writer.time(session.created_at);
  writer.time(session.absolute_expires_at);
  for (const std::string* text : {&session.id, &session.tenant, &session.user, &session.agent,
                                  &session.device, &session.address, &session.data}) {
    writer.text(*text);
  }
  const Bytes envelope = vault.seal(kSealedAs, writer.out);
  WrittenToken token{.text = std::string(kSealedTokenPrefix), .key = Vault::kid_of(envelope)};
  token.text += to_base64url(envelope);
  append_crc(token.text);
  return token;
}

std::optional<SealedToken> open_sealed_token(const Vault& vault, std::string_view token) {
  if (token.size() > kSealedTokenMax || !token.starts_with(kSealedTokenPrefix)) return std::nullopt;
  const auto body = without_crc(token);
  if (!body || body->size() < kSealedTokenPrefix.size()) return std::nullopt;
  const auto envelope = from_base64url(body->substr(kSealedTokenPrefix.size()));
  if (!envelope) return std::nullopt;
  const auto opened = vault.open(kSealedAs, *envelope);
  if (!opened) return std::nullopt;

  PackedReader reader(*opened);
  if (reader.integer(1) != kLayout) return std::nullopt;
  SealedToken sealed;
  Session& session = sealed.session;
  sealed.user_epoch = static_cast<std::int64_t>(reader.integer());
  sealed.tenant_epoch = static_cast<std::int64_t>(reader.integer());
  session.created_at = reader.time();
  session.absolute_expires_at = reader.time();
  for (std::string* text : {&session.id, &session.tenant, &session.user, &session.agent,
                            &session.device, &session.address, &session.data}) {
    *text = reader.text();
  }
  if (!reader.complete()) return std::nullopt;
  session.idle_ttl = session.absolute_expires_at - session.created_at;
  session.last_seen_at = session.created_at;
  return sealed;
}

}  // namespace redoubt::sessions
