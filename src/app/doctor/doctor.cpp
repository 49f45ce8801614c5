#include "app/doctor/doctor.hpp"

#include "app/cli/commands.hpp"
#include "app/instance.hpp"
#include "app/redis_inspection.hpp"
#include "app/run_task.hpp"
#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "base/timers.hpp"
#include "services/diagnostics/redis_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::app {
namespace {

struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<std::string> looked_at;  // "record (sqlite)", "redis (standalone)"
};

void add(std::vector<Finding> found, Diagnosis& out) {
  std::ranges::move(found, std::back_inserter(out.findings));
}

Task<shared::RedisFacts> as_task(boost::asio::awaitable<shared::RedisFacts> facts) {
  co_return co_await std::move(facts);
}

void examine_record(const config::Config& config, boost::asio::io_context& io,
                    std::string& identity, Diagnosis& out) {
  diagnostics::RecordCase one;
  if (config.record.database_url.empty()) {
    const auto facts = doctor::gather_sqlite(config.record, identity);
    one.sqlite = &facts;
    add(diagnostics::examine_record(one), out);
    out.looked_at.push_back("record (sqlite, " + facts.path + ")");
    return;
  }
  const SystemClock clock;
  const auto facts = doctor::gather_postgres(config.record, clock, io, identity);
  one.postgres = &facts;
  add(diagnostics::examine_record(one), out);
  out.looked_at.push_back("record (postgresql, " + facts.name + ")");
}

void examine_redis(const config::Loaded& loaded, boost::asio::io_context& io, std::string identity,
                   Diagnosis& out) {
  if (!loaded.config.redis.options) {
    out.looked_at.emplace_back("redis (none is configured)");
    return;
  }
  const SystemClock clock;
  SystemRandom random;
  const auto timers = make_timers(io.get_executor());
  diagnostics::RedisSetup setup = redis_setup(*loaded.config.redis.options, std::move(identity));
  for (const std::string& name : loaded.unused) {
    const bool pool =
        name.contains("REDIS_MAX_CONNECTIONS") || name.contains("REDIS_MAX_POOL_SIZE");
    if (pool) setup.unused_pool_setting = name;
  }
  const InspectionParts parts{io.get_executor(), *loaded.config.redis.options, clock, *timers,
                              random};
  const auto facts = run_task(io, as_task(inspect_redis(parts)));
  if (facts) add(diagnostics::examine_redis(setup, *facts), out);
  out.looked_at.push_back("redis (" + setup.topology + ")");
}

Diagnosis examine(const Result<config::Loaded>& loaded, const doctor::Sources& sources) {
  Diagnosis out;
  if (!loaded) {
    diagnostics::HostFacts facts;
    facts.config_problem = loaded.error().message;
    facts.key_given = true;  // Not known; the problem comes first.
    add(diagnostics::examine_host(facts), out);
    out.looked_at.emplace_back("configuration");
    return out;
  }
  boost::asio::io_context io;
  add(diagnostics::examine_host(doctor::gather_host(*loaded, sources)), out);
  out.looked_at.emplace_back("configuration, keys, ports");
  std::string identity;
  examine_record(loaded->config, io, identity, out);
  examine_redis(*loaded, io, std::move(identity), out);
  diagnostics::sort_findings(out.findings);
  return out;
}

void print_text(const Diagnosis& diagnosis) {
  std::string text;
  for (const Finding& finding : diagnosis.findings) {
    text += fmt::format("{:<8} {}  {}\n         mend: {}\n", severity_name(finding.severity),
                        finding.code, finding.what, finding.mend);
  }
  text += "looked at:";
  for (const std::string& one : diagnosis.looked_at) text += " " + one + ";";
  text.back() = '\n';
  const auto count = [&](Severity severity) {
    return std::ranges::count(diagnosis.findings, severity, &Finding::severity);
  };
  text += fmt::format("{} critical, {} warning, {} info\n", count(Severity::critical),
                      count(Severity::warning), count(Severity::info));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_json(const Diagnosis& diagnosis) {
  json::array findings;
  for (const Finding& finding : diagnosis.findings) {
    json::object one;
    one["code"] = finding.code;
    one["severity"] = severity_name(finding.severity);
    one["section"] = finding.section;
    one["what"] = finding.what;
    one["why"] = finding.why;
    one["mend"] = finding.mend;
    findings.push_back(std::move(one));
  }
  json::array looked_at;
  for (const std::string& one : diagnosis.looked_at) looked_at.emplace_back(one);
  json::object body;
  body["verdict"] = diagnostics::verdict_of(diagnosis.findings);
  body["version"] = version();
  body["findings"] = std::move(findings);
  body["looked_at"] = std::move(looked_at);
  std::string text;
  append_json(text, body);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

int run_doctor(const Result<config::Loaded>& loaded, const doctor::Sources& sources, bool as_json) {
  const Diagnosis diagnosis = examine(loaded, sources);
  if (as_json) {
    print_json(diagnosis);
  } else {
    print_text(diagnosis);
  }
  if (!loaded) return kExitConfig;
  const bool critical =
      !diagnosis.findings.empty() && diagnosis.findings.front().severity == Severity::critical;
  return critical ? kExitDegraded : EXIT_SUCCESS;
}

}  // namespace redoubt::app
