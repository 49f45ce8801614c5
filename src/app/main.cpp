#include "app/cli/commands.hpp"
#include "app/doctor/doctor.hpp"
#include "app/instance.hpp"
#include "app/serve.hpp"
#include "base/text.hpp"
#include "config/load.hpp"

#include <CLI/CLI.hpp>

#include <sys/prctl.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace redoubt;

// What the command line said, before it meets the other sources.
struct Arguments {
  std::string config_file;
  std::vector<std::string> settings;  // section.key=value
  std::string url;
  std::string ca_file;
  app::CallRequest call;
  bool reference = false;
  bool as_json = false;
};

Result<config::Loaded> load(const Arguments& arguments) {
  config::ConfigSources sources;
  sources.environment = config::process_environment();
  sources.read_file = config::read_settings_file;
  if (!arguments.config_file.empty()) {
    sources.toml_path = arguments.config_file;
    sources.toml_required = true;
  }
  for (const std::string& setting : arguments.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return fail(invalid_argument("--set", "must be section.key=value; got '" + setting + "'"));
    }
    sources.flags.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  return config::load_config(sources);
}

std::string environment(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto it = values.find(name);
  return it == values.end() ? std::string() : it->second;
}

Result<app::ClientOptions> client_options(const Arguments& arguments,
                                          const config::Config& config) {
  const auto values = config::process_environment();
  app::ClientOptions client;
  client.ca_file = arguments.ca_file;
  client.url = arguments.url.empty() ? environment(values, "REDOUBT_URL") : arguments.url;
  if (client.url.empty()) {
    const bool tls = config.http.listen.empty();
    const config::ListenAddress& address =
        tls ? config.http.tls_listen.front() : config.http.listen.front();
    client.url = (tls ? "https://" : "http://") + config::format(address);
  }
  while (client.url.ends_with('/')) client.url.pop_back();
  client.api_key = environment(values, "REDOUBT_API_KEY");
  const std::string file = environment(values, "REDOUBT_API_KEY_FILE");
  if (client.api_key.empty() && !file.empty()) {
    RD_TRY(text, config::read_settings_file(file));
    if (!text) return fail(invalid_argument("REDOUBT_API_KEY_FILE", "no such file: " + file));
    client.api_key = trim(*text);
  }
  return client;
}

void add_commands(CLI::App& cli, Arguments& arguments) {
  cli.set_version_flag("--version", "redoubt " + std::string(app::version()));
  cli.add_option("--config", arguments.config_file,
                 "Settings file (default: redoubt.toml if there)");
  cli.add_option("--set", arguments.settings, "One setting, as section.key=value; may be repeated");
  cli.add_option("--url", arguments.url, "Server to talk to (call, healthcheck); REDOUBT_URL");
  cli.add_option("--ca-file", arguments.ca_file, "Trust this authority for https");
  cli.require_subcommand(0, 1);
  cli.fallthrough();
  cli.add_subcommand("serve", "Run the server (the default)");
  auto* config = cli.add_subcommand("config", "Print every setting and where it came from");
  config->add_flag("--reference", arguments.reference, "Print the reference of all settings");
  auto* call = cli.add_subcommand("call", "Call an operation of a running server");
  call->add_option("operation", arguments.call.operation, "For example sessions.create")
      ->required();
  call->add_option("arguments", arguments.call.arguments, "name=value ...");
  call->add_option("--idempotency-key", arguments.call.idempotency_key,
                   "Sent again with the same key, it is carried out once (docs/idempotency.md)")
      ->type_name("KEY");
  call->add_flag("--describe", arguments.call.describe, "Print what the operation takes and gives");
  cli.add_subcommand("operations", "List the operations");
  cli.add_subcommand("openapi", "Print the OpenAPI document");
  cli.add_subcommand("healthcheck", "Exit 0 when the server is ready; for containers without curl");
  auto* keys = cli.add_subcommand("keys", "The encryption key ring of a running server");
  keys->require_subcommand(1);
  keys->add_subcommand("status", "Keys, and the rows that need them");
  keys->add_subcommand("rotate", "Make a new primary key and seal everything under it again");
  auto* audit = cli.add_subcommand("audit", "The audit trail of a running server");
  audit->require_subcommand(1);
  audit->add_subcommand("verify", "Walk the hash chain and say whether it is intact");
  auto* doctor = cli.add_subcommand("doctor", "Find what is wrong here, and what mends it");
  doctor->add_flag("--json", arguments.as_json, "Print one JSON object");
  cli.add_subcommand("new-admin-key", "Make another admin key; the server must be stopped");
  cli.add_subcommand("version", "Print the version");
}

// What CLI11 does not know, and what was probably meant by it.
int refuse_unknown(const CLI::App& cli) {
  std::vector<std::string> names;
  for (const CLI::App* app : cli.get_subcommands(nullptr)) names.push_back(app->get_name());
  for (const CLI::Option* option : cli.get_options()) names.push_back(option->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const std::string& word : cli.remaining(true)) {
    const std::string_view meant = nearest(word, known);
    if (meant.empty()) continue;
    std::fprintf(stderr, "redoubt: there is no %s; did you mean %s?\n", word.c_str(),
                 std::string(meant).c_str());
    return app::kExitUsage;
  }
  std::fprintf(stderr, "redoubt: there is no %s; redoubt --help lists what there is\n",
               cli.remaining(true).front().c_str());
  return app::kExitUsage;
}

int run_client(const CLI::App& cli, const Arguments& arguments, const config::Config& config) {
  const auto client = client_options(arguments, config);
  if (!client) {
    std::fprintf(stderr, "redoubt: %s\n", client.error().message.c_str());
    return app::kExitUsage;
  }
  if (cli.got_subcommand("healthcheck")) return app::healthcheck(*client);
  if (cli.got_subcommand("call")) return app::call_operation(*client, arguments.call);
  if (cli.got_subcommand("keys")) {
    const bool rotate = cli.get_subcommand("keys")->got_subcommand("rotate");
    return app::call_operation(*client,
                               {.operation = rotate ? "keyring.rotate" : "keyring.status"});
  }
  return app::call_operation(*client, {.operation = "audit.verify"});
}

int run(const CLI::App& cli, const Arguments& arguments) {
  if (cli.got_subcommand("version")) {
    std::printf("redoubt %s\n", std::string(app::version()).c_str());
    return EXIT_SUCCESS;
  }
  if (cli.got_subcommand("operations")) return app::list_operations();
  if (cli.got_subcommand("openapi")) return app::print_openapi();
  if (arguments.reference) return app::print_configuration_reference();
  const auto loaded = load(arguments);
  if (cli.got_subcommand("doctor")) {
    const config::ConfigSources defaults;
    const std::string& named = arguments.config_file;
    return app::run_doctor(loaded,
                           {named.empty() ? defaults.toml_path : named, defaults.dotenv_path},
                           arguments.as_json);
  }
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
    return app::kExitConfig;
  }
  if (cli.got_subcommand("config")) return app::print_config(*loaded);
  if (cli.got_subcommand("new-admin-key")) return app::new_admin_key(loaded->config);
  const bool serving = cli.get_subcommands().empty() || cli.got_subcommand("serve");
  const auto read_again = [&arguments] { return load(arguments); };
  return serving ? app::serve(*loaded, read_again) : run_client(cli, arguments, loaded->config);
}

}  // namespace

int main(int argc, char** argv) {
  ::prctl(PR_SET_DUMPABLE, 0);  // Keys are in memory: into no core file, to no debugger.
  CLI::App cli("Redoubt: the state plane for AI-agent backends", "redoubt");
  Arguments arguments;
  add_commands(cli, arguments);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    return refuse_unknown(cli);
  } catch (const CLI::ParseError& e) {
    const int status = cli.exit(e);
    return status == 0 ? EXIT_SUCCESS : app::kExitUsage;
  }
  return run(cli, arguments);
}
