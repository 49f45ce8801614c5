// Operations: everything Redoubt can do, each declared once. From the declaration come the REST
// route, its validation, the OpenAPI document, the CLI call and the metrics label; no face has a
// feature, a default or a check of its own.
//
//   registry.add(OperationSpec<AcquireLock, AcquiredLock>{
//       .info = {.id = "locks.acquire", .method = Method::post, .path = "/api/v1/locks/{name}",
//                .summary = "Acquire a lock", .area = Area::locks, .access = Access::write},
//       .run = [&locks](const Context& c, AcquireLock r) { return locks.acquire(c, std::move(r)); }});
#pragma once

#include "operations/describe.hpp"
#include "operations/priority.hpp"
#include "operations/wait.hpp"

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <concepts>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::operations {

enum class Method : std::uint8_t { get, head, post, put, patch, del, options };
std::string_view method_name(Method method);

enum class Access : std::uint8_t { read, write, admin };

std::string_view area_name(Area area);  // "sessions": scope, OpenAPI tag.

struct OperationInfo {
  std::string_view id;       // "sessions.create": noun.verb.
  Method method = Method::get;
  std::string_view path;     // "/api/v1/sessions/{id}"
  std::string_view summary;  // One line, imperative.
  std::string_view doc = {}; // Markdown, optional.
  Area area{};
  Access access = Access::read;
  int status = 200;          // Of success.
  std::array<int, 3> refusals{};  // Statuses that carry the reply too: a verdict that says no.
  bool is_public = false;        // No credential needed.
  bool session_may = false;      // A session token is enough (about itself).
  bool home_tenant_only = false; // Instance-wide: only admins of the home tenant.
  Priority priority = Priority::ordinary;  // Under overload.
};

// Who may call it. Errors: unauthenticated, permission_denied with the role or scope that is missing.
Result<void> authorize(const OperationInfo& info, const Caller& caller);

// Where a request's fields come from.
class HeaderSource {
 public:
  virtual ~HeaderSource() = default;
  virtual std::string_view header(std::string_view name) const = 0;  // "" when absent.
};
struct PathParam {
  std::string_view name;
  std::string value;  // Percent-decoded.
};
struct OperationInput {
  std::span<const PathParam> path = {};
  std::string_view query = {};  // As on the wire, without '?'.
  std::string_view body = {};
  std::string_view content_type = {};
  const HeaderSource* headers = nullptr;
};

// RFC 9110 5.1: a token.
constexpr bool is_header_name(std::string_view text) {
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && !std::string_view("!#$%&'*+-.^_`|~").contains(c)) return false;
  }
  return !text.empty();
}

// The name of a header: a constant, looked at by the compiler and no more by the program.
class HeaderName {
 public:
  template <std::convertible_to<std::string_view> Text>
  consteval HeaderName(const Text& text) : text_(text) {
    if (!is_header_name(text_)) throw "not a header name";
  }
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

struct OperationOutput {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string content_type_storage;  // When it is not a constant.
  std::string body;
  std::string headers;  // "Name: value\r\n" lines.
  std::optional<Error> error;
  std::shared_ptr<void> request;  // What now() has read when it leaves the work to run().

  // Control characters in `value` are percent-encoded: whatever a user chose as a name, a header
  // never splits.
  void add_header(HeaderName name, std::string_view value);
  void add_header(HeaderName name, std::int64_t value);
  void clear();
};

// A reply that is not JSON: the body as it is, with its content type. Derive from it to carry what
// `decorate` needs: content type and body have been moved out by then.
struct RawReply {
  std::string content_type;
  std::string body;
};
struct NoReply {};  // 204

// Fills `object` (described by `fields`) from `input`. Errors: invalid_argument "validation_failed"
// with every problem at once; "json_invalid"; "unsupported_media_type" is the face's.
// Costs next to nothing when there is nothing to read; JSON is parsed only for body fields.
Result<void> read_request(std::span<const FieldInfo> fields, void* object,
                          const OperationInput& input);
// The same for an operation: content that comes with GET or HEAD means nothing and is not looked at.
Result<void> read_request(const OperationInfo& info, std::span<const FieldInfo> fields,
                          void* object, const OperationInput& input);
void write_object(std::string& out, std::span<const FieldInfo> fields, const void* object);

template <class Req, class Rep>
struct OperationSpec {
  OperationInfo info;
  // Answers without suspending, or returns empty to have `run` called. Optional.
  std::function<std::optional<Result<Rep>>(const Context&, const Req&)> now = {};
  std::function<Task<Rep>(const Context&, Req)> run;
  // Adds what the reply says outside its body: status, ETag, RateLimit; or sets `error` to answer
  // with a problem and headers of its own. Optional.
  std::function<void(const Rep&, OperationOutput&)> decorate = {};
};

class Operation {
 public:
  OperationInfo info;
  std::span<const FieldInfo> request_fields;
  std::string_view request_name;            // Schema name.
  std::span<const FieldInfo> reply_fields;  // Empty for NoReply and RawReply.
  std::string_view reply_name;              // Schema name; "" for NoReply and RawReply.
  bool raw_reply = false;
  // The defaults, for the schema: a default-constructed request.
  std::shared_ptr<void> request_defaults;

  // True: `output` is complete. False: call run(). May be empty.
  std::function<bool(const Context&, const OperationInput&, OperationOutput&)> now;
  std::function<boost::asio::awaitable<void>(const Context&, const OperationInput&,
                                             OperationOutput&)>
      run;
};

class Registry {
 public:
  // What `wait=all` waits for. Without one, there is one instance and nothing to wait for.
  // REQUIRES: before the first add().
  void set_barrier(Barrier barrier) { barrier_ = std::move(barrier); }

  template <class Req, class Rep>
  void add(OperationSpec<Req, Rep> spec);

  std::span<const Operation> all() const { return operations_; }
  const Operation* find(std::string_view id) const;  // Null: none. Linear; not for a hot path.

 private:
  // REQUIRES: the id, and the method with the path, are new; every parameter of the path is a field.
  void add_checked(Operation operation);
  // REQUIRES: what offers `wait` changes something, so it does not answer without suspending.
  static void check_waiting(const OperationInfo& info, bool waits, bool answers_now);

  Barrier barrier_;
  std::vector<Operation> operations_;
};

// A reply's JSON. Overloaded where a reply is so frequent that going from field to field is too slow.
template <class Rep>
void write_reply(std::string& out, const Rep& reply) {
  write_object(out, fields_of<Rep>(), &reply);
}

namespace detail {
template <class Rep>
void finish(const OperationInfo& info, Result<Rep>& result,
            const std::function<void(const Rep&, OperationOutput&)>& decorate,
            OperationOutput& output) {
  if (!result) {
    output.error = std::move(result).error();
    return;
  }
  output.status = info.status;
  if constexpr (std::is_same_v<Rep, NoReply>) {
    output.status = 204;
  } else if constexpr (std::derived_from<Rep, RawReply>) {
    output.content_type_storage = std::move(result->content_type);
    output.content_type = output.content_type_storage;
    output.body = std::move(result->body);
  } else {
    write_reply(output.body, *result);
  }
  if (decorate) decorate(*result, output);
}
}  // namespace detail

template <class Req, class Rep>
void Registry::add(OperationSpec<Req, Rep> spec) {
  Operation op;
  op.info = spec.info;
  op.request_fields = fields_of<Req>();
  op.request_name = Description<Req>::name;
  check_waiting(spec.info, Waits<Req>, static_cast<bool>(spec.now));
  op.request_defaults = std::make_shared<Req>();
  op.raw_reply = std::derived_from<Rep, RawReply>;
  if constexpr (Described<Rep>) {
    op.reply_fields = fields_of<Rep>();
    op.reply_name = Description<Rep>::name;
  }
  const auto shared = std::make_shared<OperationSpec<Req, Rep>>(std::move(spec));
  if (shared->now) {
    op.now = [shared](const Context& context, const OperationInput& input, OperationOutput& out) {
      Req request;
      if (auto read = read_request(shared->info, fields_of<Req>(), &request, input); !read) {
        out.error = std::move(read).error();
        return true;
      }
      auto result = shared->now(context, request);
      if (!result) {
        out.request = std::make_shared<Req>(std::move(request));
        return false;
      }
      detail::finish<Rep>(shared->info, *result, shared->decorate, out);
      return true;
    };
  }
  op.run = [shared, barrier = barrier_](const Context& context, const OperationInput& input,
                    OperationOutput& out) -> boost::asio::awaitable<void> {
    auto request = std::static_pointer_cast<Req>(std::exchange(out.request, nullptr));
    if (!request) {
      request = std::make_shared<Req>();
      if (auto read = read_request(shared->info, fields_of<Req>(), request.get(), input); !read) {
        out.error = std::move(read).error();
        co_return;
      }
    }
    const bool waits = barrier && wait_of(*request) == Wait::all;
    auto result = co_await shared->run(context, std::move(*request));
    if (result && waits) {
      auto heard = co_await barrier();
      if (!heard) result = fail(std::move(heard).error());
    }
    detail::finish<Rep>(shared->info, result, shared->decorate, out);
  };
  add_checked(std::move(op));
}

}  // namespace redoubt::operations
