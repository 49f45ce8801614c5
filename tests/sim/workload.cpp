#include "tests/sim/workload.hpp"

#include "tests/support/context.hpp"

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <span>
#include <utility>

namespace redoubt::sim {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kRecent = 24;      // Sessions that are asked about most.
constexpr std::size_t kRecentKeys = 12;  // As many API keys.
constexpr unsigned kOfKeys = 20;         // Of a hundred operations on sessions and keys.
constexpr Duration kLease{2'000};
constexpr Duration kTtl{600'000};

void surely(std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

std::string key_name(int key) {
  return fmt::format("group{}:item{}", key % 3, key);
}
std::string tag_name(int key) {
  return fmt::format("tag{}", key);
}
std::string user_name(int user) {
  return fmt::format("user{}", user);
}

// "t<tenant>:k<key>:v<value>"
std::string value_text(int tenant, int key, std::int64_t value) {
  return fmt::format("t{}:k{}:v{}", tenant, key, value);
}

bool is_unknown(const Error& error) {
  return error.slug == "record_outcome_unknown" || error.code == Errc::deadline_exceeded;
}

}  // namespace

class Workload::Note {
 public:
  Note(Workload& workload, const Instance& instance, Operation op)
      : workload_(workload), life_(instance.life()), op_(op) {}
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;
  ~Note() {
    op_.ended = workload_.world_.now();
    // Nobody was told what a process did last before it died.
    if (!told_ || !life_->alive()) op_.outcome = Outcome::unknown;
    workload_.history_.operations.push_back(op_);
  }
  Operation& op() { return op_; }

  template <class T>
  void end(const Result<T>& result) {
    told_ = true;
    if (result) {
      op_.outcome = Outcome::ok;
      return;
    }
    op_.outcome = is_unknown(result.error()) ? Outcome::unknown : Outcome::refused;
    op_.unavailable = result.error().code == Errc::unavailable;
    op_.held = op_.unavailable && result.error().message.contains("from now on");
  }

 private:
  Workload& workload_;
  const LifePtr life_;
  Operation op_;
  bool told_ = false;
};

Workload::Workload(World& world, Cluster& cluster, const Plan& plan, History& history)
    : world_(world),
      cluster_(cluster),
      plan_(plan),
      history_(history),
      pause_(Nanos(std::chrono::seconds(1)) / plan.rate) {
  for (int i = 0; i < kTenants; ++i) callers_.push_back(test::admin_of(tenant_id(i)));
  for (const Caller& caller : callers_) contexts_.push_back(test::context_of(caller));
}

void Workload::start() {
  next();
}

void Workload::next() {
  if (stopped_) return;
  const Nanos pause = world_.chance().between(Nanos(0), 2 * pause_);
  world_.after(pause, [this] { next(); });
  const auto any = world_.chance().below(static_cast<std::uint64_t>(cluster_.size()));
  Instance* const instance = cluster_.instance(static_cast<int>(any));
  if (instance == nullptr || !instance->ready()) return;
  ++begun_;
  ask(*instance);
}

void Workload::ask(Instance& instance) {
  const auto dice = world_.chance().below(100);
  if (dice < plan_.limits) return check(instance);
  if (dice < plan_.limits + plan_.sessions) {
    return world_.chance().percent(kOfKeys) ? about_keys(instance) : about_sessions(instance);
  }
  about_cache(instance);
}

Operation Workload::begin(const Instance& instance, Deed deed, int tenant, std::int64_t object) {
  Operation op;
  op.deed = deed;
  op.instance = static_cast<std::int8_t>(instance.number());
  op.run = static_cast<std::uint8_t>(instance.run());
  op.tenant = static_cast<std::uint8_t>(tenant);
  op.object = static_cast<std::int32_t>(object);
  op.begun = op.ended = world_.now();
  return op;
}

Workload::Work Workload::pass(const Instance& instance, Nanos time) {
  const auto answer = std::make_shared<Answer<bool>>(instance.life());
  world_.after(time, instance.life(), [answer] { answer->give(true); });
  co_await answer->wait();
}

// ---- Limits ----

void Workload::check(Instance& instance) {
  Chance& chance = world_.chance();
  const auto limit = static_cast<std::int64_t>(chance.below(history_.limits.size()));
  const auto& policies = cluster_.policies();
  const auto per_tenant = static_cast<std::int64_t>(policies.size());
  Operation op = begin(instance, Deed::check, static_cast<int>(limit / per_tenant), limit);
  op.cost = chance.percent(20) ? 2 : 1;
  const std::string& policy = policies[static_cast<std::size_t>(limit % per_tenant)].name;
  const LimitCheck check{.policy = policy, .subject = "everybody", .cost = op.cost};
  auto now = instance.limits().check_now(context(op.tenant), {&check, 1});
  if (!now) return asio::co_spawn(world_.io(), check_later(instance, op, policy), surely);
  Note note(*this, instance, op);
  note.end(*now);
  note_decision(note.op(), instance, *now);
}

Workload::Work Workload::check_later(Instance& instance, Operation op, std::string policy) {
  Note note(*this, instance, op);
  const LimitCheck check{.policy = policy, .subject = "everybody", .cost = op.cost};
  const std::span<const LimitCheck> checks(&check, 1);
  const auto decision = co_await instance.limits().check(context(op.tenant), checks);
  note.end(decision);
  note_decision(note.op(), instance, decision);
}

void Workload::note_decision(Operation& op, const Instance& instance,
                             const Result<LimitDecision>& decision) {
  if (!decision) return;
  if (!decision->allowed) op.outcome = Outcome::refused;
  op.degraded = decision->degraded;
  op.remaining = decision->states[0].remaining;
  op.instances = instance.instances_known();
}

// ---- Sessions ----

void Workload::about_sessions(Instance& instance) {
  Chance& chance = world_.chance();
  const auto dice = chance.below(100);
  const auto tenant = static_cast<int>(chance.below(kTenants));
  const auto user = static_cast<int>(chance.below(kUsers));
  const auto spawn = [this](Work work) { asio::co_spawn(world_.io(), std::move(work), surely); };
  if (sessions_.empty() || dice < 6) return spawn(create(instance, tenant, user));
  if (dice < 7) return spawn(revoke_all(instance, tenant, user));
  const std::size_t recent = std::min(sessions_.size(), kRecent);
  const bool old = chance.percent(10);
  const std::size_t session =
      old ? chance.below(sessions_.size()) : sessions_.size() - 1 - chance.below(recent);
  if (dice < 12) return spawn(revoke(instance, session));
  if (dice < 22) return spawn(update(instance, session));
  verify(instance, session);
}

Workload::Work Workload::create(Instance& instance, int tenant, int user) {
  const auto object = static_cast<std::int64_t>(history_.sessions.size());
  history_.sessions.push_back({static_cast<std::uint8_t>(tenant), user, {}});
  Note note(*this, instance, begin(instance, Deed::create, tenant, object));
  NewSession request;
  request.user = user_name(user);
  request.data = fmt::format(R"({{"owner":"{}/{}"}})", tenant, object);
  const auto issued = co_await instance.sessions().create(context(tenant), std::move(request));
  note.end(issued);
  if (!issued || !instance.life()->alive()) co_return;
  history_.sessions[static_cast<std::size_t>(object)].id = issued->session->id;
  sessions_.push_back({tenant, user, issued->session->id, issued->token, object});
}

void Workload::verify(Instance& instance, std::size_t session) {
  const Session& known = sessions_[session];
  Operation op = begin(instance, Deed::verify, known.tenant, known.object);
  auto now = instance.sessions().authenticate_now(known.token);
  if (!now) return asio::co_spawn(world_.io(), verify_later(instance, op, known.token), surely);
  Note note(*this, instance, op);
  note.end(*now);
  note_verified(note.op(), *now);
}

Workload::Work Workload::verify_later(Instance& instance, Operation op, std::string token) {
  Note note(*this, instance, op);
  const auto verified = co_await instance.sessions().authenticate(std::move(token));
  note.end(verified);
  note_verified(note.op(), verified);
}

void Workload::note_verified(Operation& op, const Result<VerifiedSession>& verified) {
  if (!verified) return;
  const redoubt::Session& session = *verified->session;
  op.value = session.version;
  op.by_grace = verified->by_grace;
  const std::string owner = fmt::format("\"{}/{}\"", op.tenant, op.object);
  if (session.tenant != tenant_id(op.tenant) || !session.data.contains(owner)) {
    history_.leaks.push_back(fmt::format("{}: it is of {} and has {}", describe(op),
                                         session.tenant, session.data));
  }
}

Workload::Work Workload::update(Instance& instance, std::size_t session) {
  Session& known = sessions_[session];
  Note note(*this, instance, begin(instance, Deed::update, known.tenant, known.object));
  std::string patch = fmt::format(R"({{"n":{}}})", world_.now().count());
  const std::string id = known.id;
  const auto updated = co_await instance.sessions().update(context(note.op().tenant), id,
                                                           std::move(patch), std::nullopt);
  note.end(updated);
  if (updated) note.op().value = (*updated)->version;
}

Workload::Work Workload::revoke(Instance& instance, std::size_t session) {
  const Session& known = sessions_[session];
  Note note(*this, instance, begin(instance, Deed::revoke, known.tenant, known.object));
  const std::string id = known.id;
  const auto revoked = co_await instance.sessions().revoke(context(note.op().tenant), id);
  note.end(revoked);
}

Workload::Work Workload::revoke_all(Instance& instance, int tenant, int user) {
  Note note(*this, instance, begin(instance, Deed::revoke_all, tenant, user));
  const auto revoked =
      co_await instance.sessions().revoke_all(context(tenant), user_name(user), {});
  note.end(revoked);
  if (revoked) note.op().value = *revoked;
}

// ---- API keys ----

void Workload::about_keys(Instance& instance) {
  Chance& chance = world_.chance();
  const auto dice = chance.below(100);
  const auto tenant = static_cast<int>(chance.below(kTenants));
  const auto spawn = [this](Work work) { asio::co_spawn(world_.io(), std::move(work), surely); };
  if (keys_.empty() || dice < 8) return spawn(make_key(instance, tenant));
  const std::size_t recent = std::min(keys_.size(), kRecentKeys);
  const std::size_t key = keys_.size() - 1 - chance.below(recent);
  if (dice < 16) return spawn(end_key(instance, key));
  use_key(instance, key);
}

Workload::Work Workload::make_key(Instance& instance, int tenant) {
  const auto object = static_cast<std::int64_t>(history_.keys.size());
  history_.keys.push_back({static_cast<std::uint8_t>(tenant), {}});
  Note note(*this, instance, begin(instance, Deed::make_key, tenant, object));
  NewApiKey request;
  request.name = fmt::format("key {}", object);
  const auto issued = co_await instance.keys().create(context(tenant), std::move(request));
  note.end(issued);
  if (!issued || !instance.life()->alive()) co_return;
  history_.keys[static_cast<std::size_t>(object)].id = issued->key.id;
  keys_.push_back({tenant, issued->key.id, issued->token, object});
}

void Workload::use_key(Instance& instance, std::size_t key) {
  const Key& known = keys_[key];
  Operation op = begin(instance, Deed::use_key, known.tenant, known.object);
  auto now = instance.keys().authenticate_now(known.token);
  if (!now) return asio::co_spawn(world_.io(), use_key_later(instance, op, key), surely);
  Note note(*this, instance, op);
  note.end(*now);
  note_caller(note.op(), key, *now);
}

Workload::Work Workload::use_key_later(Instance& instance, Operation op, std::size_t key) {
  Note note(*this, instance, op);
  const auto caller = co_await instance.keys().authenticate(keys_[key].token);
  note.end(caller);
  note_caller(note.op(), key, caller);
}

void Workload::note_caller(Operation& op, std::size_t key, const Result<CallerPtr>& caller) {
  if (!caller) return;
  op.by_grace = (*caller)->by_grace;
  if ((*caller)->tenant != tenant_id(op.tenant) || (*caller)->principal != "key:" + keys_[key].id) {
    history_.leaks.push_back(fmt::format("{}: it speaks for {} of {}", describe(op),
                                         (*caller)->principal, (*caller)->tenant));
  }
}

Workload::Work Workload::end_key(Instance& instance, std::size_t key) {
  const Key& known = keys_[key];
  Note note(*this, instance, begin(instance, Deed::end_key, known.tenant, known.object));
  const std::string id = known.id;
  const auto ended = co_await instance.keys().revoke(context(note.op().tenant), id);
  note.end(ended);
}

// ---- Cache ----

void Workload::about_cache(Instance& instance) {
  Chance& chance = world_.chance();
  const auto tenant = static_cast<int>(chance.below(kTenants));
  const auto key = static_cast<int>(chance.below(kKeys));
  const bool changes = chance.percent(12);
  asio::co_spawn(world_.io(),
                 changes ? change(instance, tenant, key) : get(instance, tenant, key), surely);
}

Workload::Work Workload::get(Instance& instance, int tenant, int key) {
  Chance& chance = world_.chance();
  CacheGet request{.key = key_name(key), .lease = kLease};
  if (chance.percent(30)) request.wait = Duration(chance.between(1, 400));
  std::string lease;
  {
    Note note(*this, instance, begin(instance, Deed::get, tenant, tenant * kKeys + key));
    const auto found = co_await instance.cache().get(context(tenant), std::move(request));
    note.end(found);
    if (found && found->entry) note_value(note.op(), found->entry->value);
    if (found && !found->entry) note.op().outcome = Outcome::refused;  // A miss shows nothing.
    if (found) lease = found->lease;
  }
  if (lease.empty() || !instance.life()->alive()) co_return;
  co_await pass(instance, chance.between(Nanos(0), std::chrono::milliseconds(20)));
  const std::int64_t value = source(tenant, key);
  const bool slow = chance.percent(10);
  const Nanos takes = slow ? std::chrono::milliseconds(2'500) : std::chrono::milliseconds(50);
  co_await pass(instance, chance.between(Nanos(0), takes));
  Note note(*this, instance, begin(instance, Deed::put, tenant, tenant * kKeys + key));
  CachePut put{.key = key_name(key),
               .value = value_text(tenant, key, value),
               .tags = {tag_name(key)},
               .ttl = kTtl,
               .lease = lease};
  const auto stored = co_await instance.cache().put(context(tenant), std::move(put));
  note.end(stored);
  note.op().value = value;
}

Workload::Work Workload::change(Instance& instance, int tenant, int key) {
  const std::int64_t value = ++source(tenant, key);
  Note note(*this, instance, begin(instance, Deed::invalidate, tenant, tenant * kKeys + key));
  CacheInvalidation request;
  switch (world_.chance().below(4)) {
    case 0:
      request.tags.push_back(tag_name(key));
      break;
    case 1:
      request.prefixes.push_back(key_name(key));
      break;
    case 2:
      request.patterns.push_back(fmt::format("*item{}", key));
      break;
    default:
      request.prefixes.push_back(fmt::format("group{}:", key % 3));
      break;
  }
  request.best_effort = key % 2 == 0;
  const auto done = co_await instance.cache().invalidate(context(tenant), std::move(request));
  note.end(done);
  note.op().held = done && !done->recorded;
  note.op().value = value;
}

void Workload::note_value(Operation& op, std::string_view value) {
  const std::string begins = value_text(op.tenant, op.object % kKeys, 0);
  const std::string_view prefix = std::string_view(begins).substr(0, begins.size() - 1);
  if (!value.starts_with(prefix)) {
    history_.leaks.push_back(fmt::format("{}: the value is {}", describe(op), value));
    return;
  }
  value.remove_prefix(prefix.size());
  std::from_chars(value.data(), value.data() + value.size(), op.value);
}

}  // namespace redoubt::sim
