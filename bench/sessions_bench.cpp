// What sessions cost: verifying from memory, refusing garbage, reading from the record, and durable
// creates by concurrent callers, at several numbers of live sessions.
//
//   sessions_bench [directory] [seconds] [live sessions]...
//
// The directory decides which disk is synced; default: the current one.
#include "base/clock.hpp"
#include "base/random.hpp"
#include "operations/sessions_operations.hpp"
#include "record/sqlite_record.hpp"
#include "record/tenant_rows.hpp"
#include "services/sessions/service.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace asio = boost::asio;

namespace redoubt {
namespace {

constexpr int kCallers = 64;

SystemClock wall_clock;

[[noreturn]] void give_up(const Error& error) {
  fmt::print(stderr, "sessions_bench: {} {}\n", error.message, error.cause);
  std::exit(1);
}

void rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

double now_ns() {
  return static_cast<double>(wall_clock.boot().ns);
}

// Of RUSAGE_SELF, or of RUSAGE_THREAD.
double cpu_ns(int whose) {
  rusage used{};
  ::getrusage(whose, &used);
  const auto seconds = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  const auto micros = static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  return seconds * 1e9 + micros * 1e3;
}

// This thread's CPU nanoseconds of one call, over `seconds` of them: other programs do not count.
template <class F>
double cost_ns(double seconds, F&& call) {
  constexpr int kBatch = 256;
  std::size_t calls = 0;
  const double began = cpu_ns(RUSAGE_THREAD);
  double elapsed = 0;
  while (elapsed < seconds * 1e9) {
    for (int i = 0; i < kBatch; ++i) call(calls++);
    elapsed = cpu_ns(RUSAGE_THREAD) - began;
  }
  return elapsed / static_cast<double>(calls);
}

struct World {
  explicit World(const std::string& path) {
    auto opened = record::open_sqlite_record({.path = path}, wall_clock, null_log(), metrics);
    if (!opened) give_up(opened.error());
    record = std::move(*opened);
    RingKey key;
    random.fill(key.key);
    vault.emplace(std::vector<RingKey>{key}, random);
    Key256 pepper{};
    random.fill(pepper);
    vault->set_pepper(pepper);
    sessions = worker(64u << 20);
    caller.tenant = "bench";
    caller.kind = Caller::Kind::api_key;
  }
  ~World() { record->stop(); }

  std::unique_ptr<Sessions> worker(std::size_t cache_bytes) {
    SessionOptions options;
    options.cache_bytes = cache_bytes;
    return sessions::make_sessions({.record = *record,
                                    .vault = *vault,
                                    .invalidations = invalidations,
                                    .clock = wall_clock,
                                    .random = random,
                                    .log = null_log(),
                                    .metrics = metrics,
                                    .ends = ends,
                                    .use_flushes = flushes,
                                    .refusals = refusals},
                                   options);
  }

  asio::awaitable<void> add_tenant() {
    std::function<Task<void>(record::Unit&)> work = [](record::Unit& unit) -> Task<void> {
      Tenant tenant;
      tenant.id = "bench";
      RD_CO_CHECK(co_await record::insert_tenant(unit, tenant));
      co_return Result<void>{};
    };
    const auto added = co_await record->write_unit(work);
    if (!added) give_up(added.error());
  }

  asio::awaitable<void> create_until(std::size_t live) {
    while (started < live) {
      NewSession request;
      request.user = "user-" + std::to_string(started++ % 1'000'000);
      request.device = "bench";
      request.data = R"({"plan":"pro","roles":["reader","writer"]})";
      const auto issued = co_await sessions->create(context, std::move(request));
      if (!issued) give_up(issued.error());
      tokens.push_back(issued->token);
    }
  }

  Metrics metrics;
  SystemRandom random;
  local::Invalidations invalidations;
  record::UnsavedStops stops{metrics};
  sessions::UnsavedEnds ends{metrics, stops};
  sessions::UseFlushes flushes;
  record::LaterAudit refusals{wall_clock, metrics};
  std::optional<Vault> vault;
  std::unique_ptr<record::Record> record;
  std::unique_ptr<Sessions> sessions;
  Caller caller;
  Context context{caller, "bench", "127.0.0.1", "bench"};
  std::vector<std::string> tokens;
  std::size_t started = 0;
};

void create(World& world, std::size_t live) {
  asio::io_context io;
  const std::size_t before = world.tokens.size();
  const double began = now_ns();
  const double cpu_began = cpu_ns(RUSAGE_SELF);
  for (int i = 0; i < kCallers; ++i) {
    asio::co_spawn(io, world.create_until(live), rethrow);
  }
  io.run();
  const double seconds = (now_ns() - began) / 1e9;
  const double cpu = cpu_ns(RUSAGE_SELF) - cpu_began;
  const auto created = static_cast<double>(world.tokens.size() - before);
  fmt::print("create, {} callers          {:>10.0f} /s, {:.1f} us of CPU each\n", kCallers,
             created / seconds, cpu / created / 1e3);
}

void verify(World& world, double seconds) {
  const std::size_t hot = std::min<std::size_t>(world.tokens.size(), 10'000);
  asio::io_context io;
  const auto warm = [&world, hot]() -> asio::awaitable<void> {
    for (std::size_t i = 0; i < hot; ++i) {
      const auto verified = co_await world.sessions->authenticate(world.tokens[i]);
      if (!verified) give_up(verified.error());
    }
  };
  asio::co_spawn(io, warm(), rethrow);
  io.run();
  const double hit = cost_ns(seconds, [&](std::size_t i) {
    if (!world.sessions->authenticate_now(world.tokens[i % hot])) std::abort();
  });
  std::string forged = world.tokens[0];
  forged[20] = forged[20] == 'a' ? 'b' : 'a';
  const double refused = cost_ns(seconds, [&](std::size_t) {
    if (*world.sessions->authenticate_now(forged)) std::abort();
  });
  fmt::print("verify, of {:>6} in memory  {:>10.0f} ns\n", hot, hit);
  fmt::print("refuse a forged token       {:>10.0f} ns\n", refused);
}

void operation(World& world, double seconds) {
  operations::Registry registry;
  operations::register_sessions(registry, *world.sessions);
  const operations::Operation& verify = *registry.find("sessions.verify");
  const std::string body = R"({"token":")" + world.tokens[0] + R"("})";
  operations::OperationOutput output;
  const double by_token = cost_ns(seconds, [&](std::size_t) {
    output.clear();
    if (!verify.now(world.context, {.body = body}, output) || output.error) std::abort();
  });
  const operations::Operation& current = *registry.find("sessions.current");
  const auto known = world.sessions->authenticate_now(world.tokens[0]);
  const VerifiedSession session = **known;
  const Context context{.caller = world.caller,
                        .request_id = "bench",
                        .client_address = "127.0.0.1",
                        .user_agent = "bench",
                        .session = &session};
  const double own = cost_ns(seconds, [&](std::size_t) {
    output.clear();
    if (!current.now(context, {}, output) || output.error) std::abort();
  });
  fmt::print("operation sessions.verify   {:>10.0f} ns, {} bytes\n", by_token, output.body.size());
  fmt::print("operation sessions.current  {:>10.0f} ns\n", own);
}

void read(World& world, double seconds) {
  const auto cold = world.worker(0);  // Remembers nothing.
  asio::io_context io;
  const auto look = [&]() -> asio::awaitable<void> {
    std::size_t reads = 0;
    const double began = cpu_ns(RUSAGE_THREAD);
    while (cpu_ns(RUSAGE_THREAD) - began < seconds * 1e9) {
      const std::string& token = world.tokens[reads++ * 7919 % world.tokens.size()];
      const auto verified = co_await cold->authenticate(token);
      if (!verified) give_up(verified.error());
    }
    fmt::print("verify from the record      {:>10.0f} ns\n",
               (cpu_ns(RUSAGE_THREAD) - began) / static_cast<double>(reads));
  };
  asio::co_spawn(io, look(), rethrow);
  io.run();
}

void measure(World& world, const std::vector<std::size_t>& sizes, double seconds) {
  asio::io_context io;
  asio::co_spawn(io, world.add_tenant(), rethrow);
  io.run();
  for (const std::size_t live : sizes) {
    fmt::print("-- {} live sessions\n", live);
    create(world, live);
    verify(world, seconds);
    operation(world, seconds);
    read(world, seconds);
  }
}

int run(int argc, char** argv) {
  const std::filesystem::path directory = argc > 1 ? argv[1] : ".";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
  std::vector<std::size_t> sizes;
  for (int i = 3; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {1, 100'000};
  const std::filesystem::path file = directory / "sessions_bench.db";
  const auto remove_files = [&file] {
    for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
      std::filesystem::remove(file.string() + suffix);
    }
  };
  remove_files();
  {
    World world(file.string());
    measure(world, sizes, seconds);
  }
  remove_files();
  return 0;
}

}  // namespace
}  // namespace redoubt

int main(int argc, char** argv) {
  return redoubt::run(argc, argv);
}
