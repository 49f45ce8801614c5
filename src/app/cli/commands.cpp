#include "app/cli/commands.hpp"

#include "app/cli/declarations.hpp"
#include "app/instance.hpp"
#include "app/run_task.hpp"
#include "net/http_client.hpp"
#include "operations/command_line.hpp"
#include "operations/openapi.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace redoubt::app {
namespace {

int complain(const Error& error) {
  std::fprintf(stderr, "redoubt: %s\n", error.message.c_str());
  for (const FieldError& field : error.fields) {
    std::fprintf(stderr, "  %s: %s\n", field.location.c_str(), field.detail.c_str());
  }
  return error.code == Errc::invalid_argument ? kExitUsage : kExitFailed;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!text.ends_with('\n')) std::fputc('\n', stdout);
}

// "-" is standard input.
Result<std::string> read_argument_file(std::string_view path) {
  if (path == "-") {
    std::string text;
    char buffer[65536];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin))
      text.append(buffer, n);
    return text;
  }
  std::ifstream file{std::string(path), std::ios::binary};
  if (!file) return fail(invalid_argument("@file", "cannot read " + std::string(path)));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int send_call(const ClientOptions& client, operations::CommandCall call) {
  if (client.api_key.empty()) {
    std::fprintf(stderr, "redoubt: set REDOUBT_API_KEY (or REDOUBT_API_KEY_FILE) to an API key\n");
    return kExitUsage;
  }
  net::ClientRequest request;
  request.method = operations::method_name(call.method);
  request.url = client.url + call.target;
  request.ca_file = client.ca_file;
  request.headers = std::move(call.headers);
  request.headers.emplace_back("Authorization", "Bearer " + client.api_key);
  if (!call.content_type.empty()) request.headers.emplace_back("Content-Type", call.content_type);
  request.body = std::move(call.body);
  const auto response = net::fetch(request);
  if (!response) return complain(response.error());
  if (!response->body.empty()) print(response->body);
  if (response->status < 400) return EXIT_SUCCESS;
  std::fprintf(stderr, "redoubt: the server answered %d\n", response->status);
  return kExitFailed;
}

}  // namespace

int print_config(const config::Loaded& loaded) {
  print(config::render_config(loaded));
  return EXIT_SUCCESS;
}

int print_configuration_reference() {
  print(config::configuration_reference());
  return EXIT_SUCCESS;
}

int print_openapi() {
  return with_declarations([](const operations::Registry& registry) {
    operations::OpenApiOptions options;
    options.version = version();
    print(operations::openapi_document(registry, options));
    return EXIT_SUCCESS;
  });
}

int list_operations() {
  return with_declarations([](const operations::Registry& registry) {
    print(operations::operation_list(registry));
    return EXIT_SUCCESS;
  });
}

int call_operation(const ClientOptions& client, const CallRequest& request) {
  return with_declarations([&](const operations::Registry& registry) {
    const auto found = operations::find_operation(registry, request.operation);
    if (!found) {
      complain(found.error());
      return kExitUsage;
    }
    if (request.describe) {
      print(operations::operation_help(**found));
      return EXIT_SUCCESS;
    }
    const std::vector<std::string_view> given(request.arguments.begin(), request.arguments.end());
    auto call = operations::make_call(**found, given, read_argument_file);
    if (!call) return complain(call.error());
    if (request.idempotency_key) {
      const auto set = operations::set_idempotency_key(*call, *request.idempotency_key);
      if (!set) return complain(set.error());
    }
    return send_call(client, std::move(*call));
  });
}

int healthcheck(const ClientOptions& client) {
  net::ClientRequest request;
  request.url = client.url + "/readyz?verbose";
  request.ca_file = client.ca_file;
  request.timeout = Duration(5'000);
  const auto response = net::fetch(request);
  if (!response) return complain(response.error());
  print(response->body);
  return response->status == 200 ? EXIT_SUCCESS : kExitFailed;
}

int new_admin_key(const config::Config& config) {
  boost::asio::io_context io;
  auto instance = Instance::open(config, io);
  if (!instance) return complain(instance.error());
  auto issued = (*instance)->take_first_key();
  if (!issued) {
    const auto keys = tenants::make_api_keys((*instance)->tenant_parts());
    Caller caller;
    caller.kind = Caller::Kind::system;
    caller.role = Role::admin;
    caller.areas = kAllAreas;
    caller.tenant = kHomeTenant;
    caller.principal = "system:cli";
    const Context context{.caller = caller,
                          .request_id = "cli",
                          .client_address = "",
                          .user_agent = "redoubt new-admin-key"};
    NewApiKey request;
    request.name = "made on the command line";
    request.role = Role::admin;
    auto made = run_task(io, keys->create(context, std::move(request)));
    if (!made) return complain(made.error());
    issued = std::move(*made);
  }
  print(issued->token);
  return EXIT_SUCCESS;
}

}  // namespace redoubt::app
