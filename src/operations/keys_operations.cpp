#include "operations/keys_operations.hpp"

#include <utility>

namespace redoubt::operations {

template <>
struct EnumNames<KeyRingSource> {
  static constexpr std::array<std::string_view, 2> names{"setting", "file"};
};

template <>
struct Description<EncryptionKey> {
  static constexpr std::string_view name = "EncryptionKey";
  static constexpr auto fields = describe(
      field<&EncryptionKey::id>("id", "8 hex digits derived from the key.", example("5e1f09ac")),
      field<&EncryptionKey::label>("label", "The configuration's name for it; may be empty."),
      field<&EncryptionKey::primary>("primary", "Whether new rows are sealed under it."),
      field<&EncryptionKey::rows>(
          "rows",
          "Rows sealed under it now. At 0, and without sealed_until, it may leave the ring."),
      field<&EncryptionKey::sealed_until>("sealed_until",
                                          "Until when session tokens may need it that are kept "
                                          "nowhere (SESSION_STORAGE=token); absent: none does."));
};

template <>
struct Description<KeyRingStatus> {
  static constexpr std::string_view name = "KeyRing";
  static constexpr auto fields = describe(
      field<&KeyRingStatus::source>("source",
                                    "setting: TOKEN_ENCRYPTION_KEY; file: made at first start."),
      field<&KeyRingStatus::keys>("keys", "In the order of the ring; the first is the primary."),
      field<&KeyRingStatus::resealing>("resealing",
                                       "Whether rows under other keys are being sealed again."),
      field<&KeyRingStatus::resealed>("resealed", "Rows sealed again since this rotation began."),
      field<&KeyRingStatus::remaining>("remaining",
                                       "Rows under other keys that are still to be sealed again."),
      field<&KeyRingStatus::unreadable>("unreadable",
                                        "Rows under other keys that do not open: passed by, and "
                                        "their keys are still needed."),
      field<&KeyRingStatus::trouble>("trouble",
                                     "Why re-sealing does not progress, or which rows it has "
                                     "passed by; else empty."));
};

template <>
struct Description<AuditEntry> {
  static constexpr std::string_view name = "AuditEntry";
  static constexpr auto fields = describe(
      field<&AuditEntry::number>("number", "1, 2, 3 ... over all tenants, without gaps."),
      field<&AuditEntry::at>("at", "When."),
      field<&AuditEntry::tenant>("tenant", "Whose trail it belongs to."),
      field<&AuditEntry::principal>("principal", "Who: key:<id>, user:<id> or system:<part>."),
      field<&AuditEntry::action>("action", "What was done.", example("api_key.revoked")),
      field<&AuditEntry::target>("target", "To what."),
      field<&AuditEntry::outcome>("outcome", "ok or denied."),
      field<&AuditEntry::request_id>("request_id", "The request that did it."),
      field<&AuditEntry::address>("address", "Where the request came from."));
};

template <>
struct Description<AuditPage> {
  static constexpr std::string_view name = "AuditPage";
  static constexpr auto fields =
      describe(field<&AuditPage::entries>("entries", "Newest first."),
               field<&AuditPage::next_cursor>("next_cursor",
                                              "For the next page; empty when there is none."));
};

template <>
struct Description<AuditVerdict> {
  static constexpr std::string_view name = "AuditVerdict";
  static constexpr auto fields = describe(
      field<&AuditVerdict::intact>("intact", "Whether every entry fits the one before it."),
      field<&AuditVerdict::entries>("entries", "How many were checked."),
      field<&AuditVerdict::first_broken>("first_broken",
                                         "Number of the first that does not fit; 0 when intact."),
      field<&AuditVerdict::reason>("reason", "What does not fit; empty when intact."),
      field<&AuditVerdict::head>("head", "Number of the newest entry."),
      field<&AuditVerdict::head_hash>("head_hash",
                                      "Its hash in hex. Keep it elsewhere: then a trail that was "
                                      "rewritten as a whole shows too."));
};

namespace {

struct NoParameters {
  static constexpr std::string_view schema_name = "NoParameters";
  static constexpr std::array<FieldInfo, 0> fields{};
};

struct ListAudit {
  std::int64_t limit = 100;
  std::string cursor;
  static constexpr std::string_view schema_name = "ListAudit";
  static constexpr auto fields =
      describe(field<&ListAudit::limit>("limit", "How many at most.", between(1, 1000), in_query),
               field<&ListAudit::cursor>("cursor", "The next_cursor of the page before.",
                                         length(0, 20), in_query));
};

}  // namespace

void register_keys(Registry& registry, EncryptionKeys& keys) {
  OperationSpec<NoParameters, KeyRingStatus> status;
  status.info = {.id = "keyring.status",
                 .method = Method::get,
                 .path = "/api/v1/keyring",
                 .summary = "Show the encryption keys and how far a rotation is",
                 .area = Area::keyring,
                 .access = Access::admin,
                 .home_tenant_only = true,
                 .priority = Priority::listing};
  status.run = [&keys](const Context& context, NoParameters) { return keys.status(context); };
  registry.add(std::move(status));

  OperationSpec<NoParameters, KeyRingStatus> rotate;
  rotate.info = {.id = "keyring.rotate",
                 .method = Method::post,
                 .path = "/api/v1/keyring/rotate",
                 .summary = "Make a new encryption key the primary and seal the rows again",
                 .doc =
                     "Answers at once; the rows are sealed again in the background, see "
                     "`keyring.status`. With TOKEN_ENCRYPTION_KEY the new key must stand first "
                     "there: `new:<hex>,old:<hex>`.",
                 .area = Area::keyring,
                 .access = Access::admin,
                 .status = 202,
                 .home_tenant_only = true};
  rotate.run = [&keys](const Context& context, NoParameters) { return keys.rotate(context); };
  registry.add(std::move(rotate));
}

void register_audit(Registry& registry, Audit& audit) {
  OperationSpec<ListAudit, AuditPage> list;
  list.info = {.id = "audit.list",
               .method = Method::get,
               .path = "/api/v1/audit",
               .summary = "List the tenant's audit entries, newest first",
               .area = Area::audit,
               .access = Access::admin,
               .priority = Priority::listing};
  list.run = [&audit](const Context& context, ListAudit request) {
    return audit.list(context, static_cast<std::size_t>(request.limit), std::move(request.cursor));
  };
  registry.add(std::move(list));

  OperationSpec<NoParameters, AuditVerdict> verify;
  verify.info = {.id = "audit.verify",
                 .method = Method::get,
                 .path = "/api/v1/audit/verify",
                 .summary = "Check the whole audit trail's chain of hashes",
                 .area = Area::audit,
                 .access = Access::admin,
                 .home_tenant_only = true,
                 .priority = Priority::listing};
  verify.run = [&audit](const Context& context, NoParameters) { return audit.verify(context); };
  registry.add(std::move(verify));
}

}  // namespace redoubt::operations
