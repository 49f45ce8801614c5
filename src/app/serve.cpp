#include "app/serve.hpp"

#include "app/instance.hpp"
#include "app/reload.hpp"
#include "app/welcome.hpp"
#include "app/worker.hpp"
#include "config/setting.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "app/options.hpp"

namespace redoubt::app {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kPoll{20};
constexpr std::chrono::seconds kLastWait{5};  // For coroutines that wait, after their clients left.

// The soft limit is for programs that use select(); this one wants what it may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class Service {
 public:
  Service(const config::Loaded& loaded, std::function<Result<config::Loaded>()> read_again)
      : config_(loaded.config),
        loaded_(loaded),
        read_again_(std::move(read_again)),
        signals_(io_, SIGTERM, SIGINT),
        reloads_(io_, SIGHUP),
        timer_(io_) {}

  int run() {
    if (auto opened = open(); !opened) {
      std::fprintf(stderr, "redoubt: cannot start: %s\n", opened.error().message.c_str());
      if (!opened.error().cause.empty()) {
        std::fprintf(stderr, "redoubt: cause: %s\n", opened.error().cause.c_str());
      }
      save_first_key();
      return EXIT_FAILURE;
    }
    for (const auto& worker : workers_) worker->start();
    instance_->start_background();
    instance_->health->set_started();
    print_welcome(config_, workers_.front()->ports(), instance_->take_first_key());
    await_stop();
    await_reload();
    io_.restart();
    io_.run();
    return finish();
  }

 private:
  Result<void> open() {
    RD_TRY(instance, Instance::open(config_, io_));
    instance_ = std::move(instance);
    RD_CHECK(open_tls());
    std::vector<std::uint16_t> ports;
    const std::size_t count = worker_count(config_.http);
    for (std::size_t i = 0; i < count; ++i) {
      RD_TRY(worker, Worker::make(*instance_, i, ports, tls_));
      workers_.push_back(std::move(worker));
      ports = workers_.front()->ports();
    }
    return {};
  }

  // The first start has made it, and the next one is no first start.
  void save_first_key() {
    const auto key = instance_ ? instance_->take_first_key() : std::nullopt;
    if (key) print_first_key(*key);
  }

  Result<void> open_tls() {
    if (config_.http.tls_listen.empty()) return {};
    tls_ = std::make_shared<net::TlsContext>(config_.http.tls_certificate, config_.http.tls_key);
    return tls_->reload();
  }

  void await_reload() {
    reloads_.async_wait([this](boost::system::error_code cancelled, int) {
      if (cancelled) return;
      reload_config();
      instance_->reload_keys();
      if (tls_) {
        const Result<void> done = tls_->reload();
        if (done) {
          instance_->log->info("tls.reloaded");
        } else {
          instance_->log->error("tls.reload_refused", {{"message", done.error().message}});
        }
      }
      await_reload();
    });
  }

  // All of it or nothing: a configuration with a mistake in it changes nothing.
  void reload_config() {
    auto read = read_again_();
    if (!read) {
      instance_->log->error("config.reload_refused", {{"message", read.error().message}});
      return;
    }
    const ConfigChange change = compare(loaded_, *read);
    loaded_ = *std::move(read);
    const bool other_redis = instance_->apply(loaded_.config);
    for (const auto& worker : workers_) {
      if (other_redis) worker->replace_redis();
      worker->replace_limits(loaded_.config.limits);
    }
    instance_->log->info("config.reloaded", {{"changed", config::joined(change.live)}});
    if (change.restart.empty()) return;
    instance_->log->warn("config.restart_needed", {{"settings", config::joined(change.restart)}});
  }

  void await_stop() {
    signals_.async_wait([this](boost::system::error_code cancelled, int signal) {
      if (cancelled) return;
      instance_->log->info("serve.stopping", {{"signal", signal}});
      instance_->health->set_draining();
      signals_.async_wait([this](boost::system::error_code again, int) {
        if (!again) cut();
      });
      timer_.expires_after(config_.http.shutdown_delay);
      timer_.async_wait([this](boost::system::error_code ec) {
        if (!ec) drain();
      });
    });
  }

  void drain() {
    for (const auto& worker : workers_) worker->drain();
    deadline_ = instance_->clock.boot() + config_.http.drain_deadline;
    poll_drain();
  }

  void poll_drain() {
    const bool drained = std::ranges::all_of(workers_, [](const auto& w) { return w->drained(); });
    if (drained || instance_->clock.boot() > deadline_) return cut();
    timer_.expires_after(kPoll);
    timer_.async_wait([this](boost::system::error_code ec) {
      if (!ec) poll_drain();
    });
  }

  void cut() {
    if (cut_) return;
    cut_ = true;
    boost::system::error_code ec;
    signals_.clear(ec);   // The next signal has its usual effect: it kills.
    signals_.cancel(ec);  // Clearing leaves the wait, which would keep the loop running.
    reloads_.cancel(ec);
    timer_.cancel();
    instance_->stop_background();
    for (const auto& worker : workers_) worker->stop();
    deadline_ = instance_->clock.boot() + kLastWait;
    poll_end();
  }

  void poll_end() {
    const bool ended = std::ranges::all_of(workers_, [](const auto& w) { return w->ended(); }) &&
                       instance_->background_idle();
    if (ended) return;
    if (instance_->clock.boot() > deadline_) leave_at_once();
    timer_.expires_after(kPoll);
    timer_.async_wait([this](boost::system::error_code) { poll_end(); });
  }

  // Something still waits for what does not come, perhaps a disk that hangs. What was acknowledged
  // is durable; threads still run, so nothing of theirs is taken down.
  [[noreturn]] void leave_at_once() {
    instance_->log->flush();
    std::fputs("redoubt: some requests did not end in time and were cut\n", stderr);
    std::_Exit(EXIT_FAILURE);
  }

  int finish() {
    for (const auto& worker : workers_) worker->join();
    workers_.clear();
    instance_->record->stop();
    instance_->log->info("serve.stopped");
    return EXIT_SUCCESS;
  }

  const config::Config& config_;  // As at the start.
  config::Loaded loaded_;         // As last read.
  std::function<Result<config::Loaded>()> read_again_;
  asio::io_context io_;
  asio::signal_set signals_;
  asio::signal_set reloads_;
  asio::steady_timer timer_;
  std::unique_ptr<Instance> instance_;
  std::shared_ptr<net::TlsContext> tls_;
  std::vector<std::unique_ptr<Worker>> workers_;
  BootTime deadline_;
  bool cut_ = false;
};

}  // namespace

int serve(const config::Loaded& loaded, std::function<Result<config::Loaded>()> read_again) {
  raise_descriptor_limit();
  Service service(loaded, std::move(read_again));
  return service.run();
}

}  // namespace redoubt::app
