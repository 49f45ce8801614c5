#include "record/audit.hpp"

#include "base/bytes.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace redoubt::record {
namespace {

constexpr std::int64_t kVerifyRows = 1'000;
constexpr std::int64_t kListMax = 1'000;

constexpr std::string_view kHead = "audit.head";
constexpr std::string_view kCut = "audit.cut";

constexpr sql::Statement kReadLink{"SELECT number, bytes FROM rd_meta WHERE name = $1"};
constexpr sql::Statement kWriteLink{
    "INSERT INTO rd_meta (name, number, bytes) VALUES ($1, $2, $3)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number, bytes = excluded.bytes"};
constexpr sql::Statement kInsert{
    "INSERT INTO rd_audit (seq, at, tenant, principal, action, target, outcome, request_id, "
    "address,"
    " hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"};
constexpr sql::Statement kReadForward{
    "SELECT seq, at, tenant, principal, action, target, outcome, request_id, address, hash"
    " FROM rd_audit WHERE seq > $1 ORDER BY seq LIMIT $2"};
constexpr sql::Statement kList{
    "SELECT seq, at, tenant, principal, action, target, outcome, request_id, address, hash"
    " FROM rd_audit WHERE tenant = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"};
constexpr sql::Statement kReadOldest{
    "SELECT seq, at, hash FROM rd_audit WHERE seq > $1 ORDER BY seq LIMIT $2"};
constexpr sql::Statement kDeleteUpTo{"DELETE FROM rd_audit WHERE seq <= $1"};

void append_integer(Bytes& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

void append_text(Bytes& out, std::string_view text) {
  append_integer(out, text.size());
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// A hash of another length cannot be one of ours; zeros then make the comparison fail.
Digest256 digest_of(const Bytes& bytes) {
  Digest256 digest{};
  if (bytes.size() == digest.size()) std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

AuditEntry entry_of(const sql::Row& row) {
  AuditEntry entry;
  entry.seq = row.integer(0);
  entry.at = WallTime{row.integer(1)};
  entry.event.tenant = row.text(2);
  entry.event.principal = row.text(3);
  entry.event.action = row.text(4);
  entry.event.target = row.text(5);
  entry.event.outcome = row.text(6);
  entry.event.request_id = row.text(7);
  entry.event.address = row.text(8);
  entry.hash = digest_of(row.bytes(9));
  return entry;
}

Task<AuditLink> read_link(sql::Transaction& tx, std::string_view name) {
  RD_CO_TRY(rows, co_await tx.run(kReadLink, {name}));
  AuditLink link;
  if (!rows.empty()) {
    link.seq = rows[0].integer(0);
    link.hash = digest_of(rows[0].bytes(1));
  }
  co_return link;
}

Task<void> write_link(sql::Transaction& tx, std::string_view name, AuditLink link) {
  const ByteView hash(link.hash);
  RD_CO_CHECK(co_await tx.run(kWriteLink, {name, link.seq, hash}));
  co_return Result<void>{};
}

// One stretch of the trail as one snapshot shows it.
struct Stretch {
  AuditLink cut;
  AuditLink head;
  std::vector<AuditEntry> entries;
};

Task<Stretch> read_stretch(sql::Transaction& tx, std::int64_t after) {
  Stretch stretch;
  RD_CO_TRY(cut, co_await read_link(tx, kCut));
  RD_CO_TRY(head, co_await read_link(tx, kHead));
  stretch.cut = cut;
  stretch.head = head;
  const std::int64_t from = std::max(after, cut.seq);
  RD_CO_TRY(rows, co_await tx.run(kReadForward, {from, kVerifyRows}));
  std::ranges::transform(rows.rows, std::back_inserter(stretch.entries), entry_of);
  co_return stretch;
}

void break_at(AuditVerification& verification, std::int64_t seq, std::string problem) {
  verification.intact = false;
  verification.first_bad = seq;
  verification.problem = std::move(problem);
}

// Follows the chain through `entries` from `end`, which moves along; stops at the first break.
void follow(const std::vector<AuditEntry>& entries, AuditLink& end,
            AuditVerification& verification) {
  for (const AuditEntry& entry : entries) {
    if (entry.seq != end.seq + 1) return break_at(verification, end.seq + 1, "row is missing");
    if (entry.hash != audit_hash(end.hash, entry)) {
      return break_at(verification, entry.seq, "row was changed, moved or inserted");
    }
    end = AuditLink{entry.seq, entry.hash};
    ++verification.rows;
  }
}

void compare_with_head(const AuditLink& end, const AuditLink& head,
                       AuditVerification& verification) {
  if (end.seq < head.seq)
    return break_at(verification, end.seq + 1, "the end of the trail is missing");
  if (end.seq > head.seq)
    return break_at(verification, head.seq + 1, "row was added behind the end");
  if (end.hash != head.hash) return break_at(verification, head.seq, "the stored end was changed");
}

}  // namespace

Digest256 audit_hash(const Digest256& previous, const AuditEntry& entry) {
  Bytes text(previous.begin(), previous.end());
  append_integer(text, static_cast<std::uint64_t>(entry.seq));
  append_integer(text, static_cast<std::uint64_t>(entry.at.ms));
  append_text(text, entry.event.tenant);
  append_text(text, entry.event.principal);
  append_text(text, entry.event.action);
  append_text(text, entry.event.target);
  append_text(text, entry.event.outcome);
  append_text(text, entry.event.request_id);
  append_text(text, entry.event.address);
  return sha256(text);
}

Task<void> AuditChain::append(sql::Transaction& tx, const AuditEvent& event, WallTime now) {
  if (!end_) {
    RD_CO_TRY(head, co_await read_link(tx, kHead));
    end_ = head;
  }
  AuditEntry entry;
  entry.seq = end_->seq + 1;
  entry.at = now;
  entry.event = event;
  entry.hash = audit_hash(end_->hash, entry);
  const ByteView hash(entry.hash);
  RD_CO_CHECK(co_await tx.run(
      kInsert, {entry.seq, now.ms, std::string_view(event.tenant),
                std::string_view(event.principal), std::string_view(event.action),
                std::string_view(event.target), std::string_view(event.outcome),
                std::string_view(event.request_id), std::string_view(event.address), hash}));
  end_ = AuditLink{entry.seq, entry.hash};
  co_return Result<void>{};
}

Task<void> AuditChain::store_head(sql::Transaction& tx, const Mark& since) {
  const bool moved = end_ && (!since || since->seq != end_->seq);
  if (!moved) co_return Result<void>{};
  const AuditLink end = *end_;
  co_return co_await write_link(tx, kHead, end);
}

Task<AuditVerification> verify_audit(Record& record) {
  namespace asio = boost::asio;
  const auto home = co_await asio::this_coro::executor;
  AuditVerification verification;
  AuditLink end;
  for (;;) {
    const std::int64_t after = end.seq;
    std::function<Task<Stretch>(sql::Transaction&)> work = [after](sql::Transaction& tx) {
      return read_stretch(tx, after);
    };
    RD_CO_TRY(stretch, co_await record.read<Stretch>(work));
    verification.head = stretch.head;
    // Retention may have deleted what lay before us, also since the last stretch.
    if (stretch.cut.seq > end.seq) end = stretch.cut;
    follow(stretch.entries, end, verification);
    if (!verification.intact) break;
    if (std::ssize(stretch.entries) < kVerifyRows) {
      compare_with_head(end, stretch.head, verification);
      break;
    }
    co_await asio::post(home, asio::use_awaitable);  // Whoever else waits for this thread is next.
  }
  co_return verification;
}

Task<AuditPage> list_audit(sql::Transaction& tx, AuditQuery query) {
  const std::int64_t limit = std::clamp<std::int64_t>(query.limit, 1, kListMax);
  const std::int64_t before = query.before_seq > 0 ? query.before_seq : INT64_MAX;
  const std::string_view tenant = query.tenant;
  RD_CO_TRY(rows, co_await tx.run(kList, {tenant, before, limit + 1}));
  AuditPage page;
  const auto count = std::min(static_cast<std::int64_t>(rows.size()), limit);
  std::transform(rows.rows.begin(), rows.rows.begin() + count, std::back_inserter(page.entries),
                 entry_of);
  if (std::ssize(rows.rows) > limit) page.next_before_seq = page.entries.back().seq;
  co_return page;
}

Task<std::int64_t> trim_audit(sql::Transaction& tx, WallTime cutoff, std::int64_t batch) {
  RD_CO_TRY(cut, co_await read_link(tx, kCut));
  RD_CO_TRY(rows, co_await tx.run(kReadOldest, {cut.seq, batch}));
  AuditLink last = cut;
  std::int64_t count = 0;
  for (const sql::Row& row : rows.rows) {
    if (WallTime{row.integer(1)} >= cutoff) break;
    last = AuditLink{row.integer(0), digest_of(row.bytes(2))};
    ++count;
  }
  if (count == 0) co_return 0;
  RD_CO_CHECK(co_await write_link(tx, kCut, last));
  const std::int64_t up_to = last.seq;
  RD_CO_CHECK(co_await tx.run(kDeleteUpTo, {up_to}));
  co_return count;
}

}  // namespace redoubt::record
