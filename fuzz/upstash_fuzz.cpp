// Whatever bytes come as an Upstash request: no crash, every argument lies where it may, a command
// written as JSON again reads the same, and whatever Redis answers becomes JSON.
//
// The input is path, query and body, each ended by a NUL; what follows is RESP.
#include "base/bytes.hpp"
#include "base/json.hpp"
#include "fuzz/check.hpp"
#include "wire/redis_commands.hpp"
#include "wire/resp.hpp"
#include "wire/upstash.hpp"

#include <algorithm>
#include <string>

namespace redoubt::wire::upstash {
namespace {

using fuzz::check;

std::string_view take_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

void check_keys(std::span<const std::string_view> arguments) {
  const RedisCommand* command = find_redis_command(arguments.front());
  if (command == nullptr) return;
  std::vector<std::size_t> positions;
  if (key_positions(*command, arguments, positions)) {
    check(std::ranges::all_of(positions, [&](std::size_t i) { return i < arguments.size(); }));
  }
  would_block(*command, arguments);
}

// Text survives being written as JSON and read again; bytes that are no text do not have to.
void check_again(const Request& request) {
  std::string body = "[";
  for (std::size_t i = 0; i < request.size(); ++i) {
    body += i == 0 ? "[" : ",[";
    char separator = ' ';
    for (const std::string_view argument : request.command(i)) {
      if (!is_utf8(argument)) return;
      body += separator;
      append_json_string(body, argument);
      separator = ',';
    }
    body += ']';
  }
  body += ']';
  Request again;
  check(read_request("/pipeline", "", body, {}, again).has_value());
  check(again.size() == request.size());
  for (std::size_t i = 0; i < request.size(); ++i) {
    check(std::ranges::equal(again.command(i), request.command(i)));
  }
}

void check_reply(std::string_view input) {
  resp::Decoder decoder({.depth = 16, .elements = 1000, .bytes = 100'000});
  std::size_t used = 0;
  resp::Value value;
  if (decoder.decode(input, used, value) != resp::Decoder::Status::value) return;
  for (const Format format : {Format::json, Format::base64}) {
    std::string out;
    append_reply(out, value, format);
    // Our own reader says whether it is JSON, whatever the size of its numbers.
    const std::string body = "[\"ECHO\"," + out + "]";
    Request request;
    check(read_request("/", "", body, {}, request).has_value());
    check(is_utf8(out));
  }
  std::string bytes;
  append_reply(bytes, as_resp2(value, true, true), Format::resp2);
  check(!bytes.empty());
  std::string event;
  append_event(event, value.text());
  check(event.ends_with("\n\n"));
  // A line that begins like an event and is not the first has a space no event begins with.
  for (auto at = event.find("\ndata: "); at != std::string::npos;
       at = event.find("\ndata: ", at + 1)) {
    check(event[at + 7] == ' ');
  }
}

}  // namespace

void fuzz_one(std::string_view input) {
  const std::string_view path = take_part(input);
  const std::string_view query = take_part(input);
  const std::string_view body = take_part(input);
  Request request;
  token_in_query(query);
  if (read_request(path, query, body, {}, request)) {
    check(request.size() > 0);
    for (std::size_t i = 0; i < request.size(); ++i) {
      check(!request.command(i).empty());
      check_keys(request.command(i));
    }
    check_again(request);
  }
  check_reply(input);
}

}  // namespace redoubt::wire::upstash

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  redoubt::wire::upstash::fuzz_one(redoubt::fuzz::text_of(data, size));
  return 0;
}
