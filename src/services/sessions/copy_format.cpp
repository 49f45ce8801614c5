#include "services/sessions/copy_format.hpp"

#include "base/bytes.hpp"
#include "base/packed.hpp"

#include <algorithm>

namespace redoubt::sessions {
namespace {

constexpr std::uint8_t kLayout = 1;

SealedAs sealed_as(std::string_view tenant, const Id128& id, std::int64_t version) {
  return {.tenant = tenant, .kind = "session copy", .record_id = id, .version = version};
}

}  // namespace

Bytes pack_copy(const SessionCopy& copy) {
  const record::SessionRow& row = copy.row;
  PackedWriter writer;
  writer.integer(kLayout, 1);
  writer.signed_integer(copy.era);
  writer.bytes(row.verifier);
  writer.time(row.created_at);
  writer.time(row.absolute_expires_at);
  writer.signed_integer(row.idle_ttl.count());
  writer.time(row.last_seen_at);
  for (const std::string* text : {&row.user, &row.agent, &row.device, &row.address, &copy.data}) {
    writer.text(*text);
  }
  return std::move(writer.out);
}

std::optional<SessionCopy> unpack_copy(ByteView bytes) {
  PackedReader reader(bytes);
  if (reader.integer(1) != kLayout) return std::nullopt;
  SessionCopy copy;
  record::SessionRow& row = copy.row;
  copy.era = reader.signed_integer();
  const ByteView verifier = reader.bytes(row.verifier.size());
  row.created_at = reader.time();
  row.absolute_expires_at = reader.time();
  row.idle_ttl = Duration(reader.signed_integer());
  row.last_seen_at = reader.time();
  for (std::string* text : {&row.user, &row.agent, &row.device, &row.address, &copy.data}) {
    *text = reader.text();
  }
  if (!reader.complete()) return std::nullopt;
  std::ranges::copy(verifier, row.verifier.begin());
  return copy;
}

std::string seal_copy(const Vault& vault, const SessionCopy& copy) {
  const record::SessionRow& row = copy.row;
  PackedWriter writer;
  writer.integer(kLayout, 1);
  writer.text(row.tenant);
  writer.bytes(vault.seal(sealed_as(row.tenant, row.id, row.version), pack_copy(copy)));
  return std::string(as_text(writer.out));
}

std::optional<SessionCopy> open_copy(const Vault& vault, const Id128& id, std::int64_t version,
                                     std::string_view bytes) {
  PackedReader reader(as_bytes(bytes));
  if (reader.integer(1) != kLayout) return std::nullopt;
  const std::string tenant = reader.text();
  if (reader.failed()) return std::nullopt;
  const auto opened = vault.open(sealed_as(tenant, id, version), reader.rest());
  if (!opened) return std::nullopt;
  std::optional<SessionCopy> copy = unpack_copy(*opened);
  if (!copy) return std::nullopt;
  copy->row.id = id;
  copy->row.tenant = tenant;
  copy->row.version = version;
  return copy;
}

}  // namespace redoubt::sessions
