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
#include <redoubt/idempotency.hpp>
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
  bool may_accept = false;   // Or 202 with the reply: it is done as far as can be now.
  std::array<int, 3> refusals{};  // Statuses that carry the reply too: a verdict that says no.
  bool is_public = false;        // No credential needed.
  bool session_may = false;      // A session token is enough (about itself).
  bool home_tenant_only = false; // Instance-wide: only admins of the home tenant.
  Priority priority = Priority::ordinary;  // Under overload.
};

// What changes something takes an idempotency key. What reads may be repeated as it is: there a key
// means nothing. Nor does it for the gate: its yes is about this moment, and repeated it would let
// in a session that has been revoked since.
constexpr bool takes_key(const OperationInfo& info) {
  return info.access != Access::read && info.area != Area::gate && info.method != Method::get &&
         info.method != Method::head;
}

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
  std::string_view idempotency_key = {};  // As it was sent (idempotency_key.hpp); empty: none.
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

// `Value`: what the service yields. Where it is another type than the reply, the reply is
// constructed from it, or by `reply`; the service can then make it part of its transaction
// (redoubt/idempotency.hpp).
template <class Req, class Rep, class Value = Rep>
struct OperationSpec {
  OperationInfo info;
  // Answers without suspending, or returns empty to have `run` called. Optional.
  std::function<std::optional<Result<Rep>>(const Context&, const Req&)> now = {};
  std::function<Task<Value>(const Context&, Req)> run;
  // Adds what the reply says outside its body: status, ETag, RateLimit; or sets `error` to answer
  // with a problem and headers of its own. Optional. Of an operation that takes a key it is pure:
  // any thread may call it.
  std::function<void(const Rep&, OperationOutput&)> decorate = {};
  std::function<Rep(Value)> reply = {};  // Pure.
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

  // Keeps the answers of requests that have a key. Without one, keys are not looked at.
  // REQUIRES: before the first add(); it outlives the registry.
  void set_idempotency(Idempotency& idempotency) { idempotency_ = &idempotency; }

  template <class Req, class Rep, class Value>
  void add(OperationSpec<Req, Rep, Value> spec);

  std::span<const Operation> all() const { return operations_; }
  const Operation* find(std::string_view id) const;  // Null: none. Linear; not for a hot path.

 private:
  // REQUIRES: the id, and the method with the path, are new; every parameter of the path is a field.
  void add_checked(Operation operation);
  // REQUIRES: what offers `wait` changes something, so it does not answer without suspending.
  static void check_waiting(const OperationInfo& info, bool waits, bool answers_now);
  static void check_reply(const OperationInfo& info, bool made);

  Barrier barrier_;
  Idempotency* idempotency_ = nullptr;
  std::vector<Operation> operations_;
};

// A reply's JSON. Overloaded where a reply is so frequent that going from field to field is too slow.
template <class Rep>
void write_reply(std::string& out, const Rep& reply) {
  write_object(out, fields_of<Rep>(), &reply);
}

namespace detail {

template <class Req, class Rep, class Value>
void put_reply(const OperationSpec<Req, Rep, Value>& spec, Rep& reply, OperationOutput& output) {
  output.status = spec.info.status;
  if constexpr (std::is_same_v<Rep, NoReply>) {
    output.status = 204;
  } else if constexpr (std::derived_from<Rep, RawReply>) {
    output.content_type_storage = std::move(reply.content_type);
    output.content_type = output.content_type_storage;
    output.body = std::move(reply.body);
  } else {
    write_reply(output.body, reply);
  }
  if (spec.decorate) spec.decorate(reply, output);
}

template <class Req, class Rep, class Value>
void finish(const OperationSpec<Req, Rep, Value>& spec, Result<Rep>& result,
            OperationOutput& output) {
  if (!result) {
    output.error = std::move(result).error();
    return;
  }
  put_reply(spec, *result, output);
}

template <class Req, class Rep, class Value>
Rep reply_from(const OperationSpec<Req, Rep, Value>& spec, Value value) {
  if constexpr (std::constructible_from<Rep, Value>) {
    if (!spec.reply) return Rep(std::move(value));
  }
  return spec.reply(std::move(value));
}

template <class Req, class Rep, class Value>
void finish(const OperationSpec<Req, Rep, Value>& spec, Result<Value>& result,
            OperationOutput& output)
  requires(!std::is_same_v<Rep, Value>)
{
  if (!result) {
    output.error = std::move(result).error();
    return;
  }
  Rep reply = reply_from(spec, std::move(*result));
  put_reply(spec, reply, output);
}

// A request with a key, on its way.
struct KeyedCall {
  const OperationInfo& info;
  std::span<const FieldInfo> fields;
  const OperationInput& input;
  AnswerMaker make;
  std::function<boost::asio::awaitable<void>(const Context&)> work;  // Completes the output.
};
// Answers with what was kept, or has the work done. `output`: that of the work.
boost::asio::awaitable<void> run_keyed(Idempotency& idempotency, const Context& context,
                                       const KeyedCall& call, OperationOutput& output);

// The answer that `output` is; empty when it may be another the next time.
std::optional<KeptAnswer> lasting_answer(OperationOutput output, std::string_view request_id);

template <class Req, class Rep, class Value>
AnswerMaker answer_maker(std::shared_ptr<OperationSpec<Req, Rep, Value>> spec) {
  return [spec](const std::type_info& type, const void* value) -> std::optional<KeptAnswer> {
    OperationOutput output;
    if constexpr (std::is_same_v<Rep, NoReply>) {
      if (type != typeid(void)) return std::nullopt;
      NoReply reply;
      put_reply(*spec, reply, output);
    } else {
      if (type != typeid(Value)) return std::nullopt;
      Result<Value> result(*static_cast<const Value*>(value));
      finish(*spec, result, output);
    }
    return lasting_answer(std::move(output), {});
  };
}

}  // namespace detail

template <class Req, class Rep, class Value>
void Registry::add(OperationSpec<Req, Rep, Value> spec) {
  Operation op;
  op.info = spec.info;
  op.request_fields = fields_of<Req>();
  op.request_name = Description<Req>::name;
  check_waiting(spec.info, Waits<Req>, static_cast<bool>(spec.now));
  if constexpr (!std::constructible_from<Rep, Value>) check_reply(spec.info, spec.reply != nullptr);
  op.request_defaults = std::make_shared<Req>();
  op.raw_reply = std::derived_from<Rep, RawReply>;
  if constexpr (Described<Rep>) {
    op.reply_fields = fields_of<Rep>();
    op.reply_name = Description<Rep>::name;
  }
  Idempotency* const idempotency = takes_key(spec.info) ? idempotency_ : nullptr;
  const auto shared = std::make_shared<OperationSpec<Req, Rep, Value>>(std::move(spec));
  if (shared->now) {
    op.now = [shared, idempotency](const Context& context, const OperationInput& input,
                                   OperationOutput& out) {
      if (idempotency != nullptr && !input.idempotency_key.empty()) return false;
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
      detail::finish(*shared, *result, out);
      return true;
    };
  }
  op.run = [shared, idempotency, barrier = barrier_, make = detail::answer_maker(shared)](
               const Context& context, const OperationInput& input,
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
    if (idempotency == nullptr || input.idempotency_key.empty()) {
      auto result = co_await shared->run(context, std::move(*request));
      detail::finish(*shared, result, out);
    } else {
      auto work = [&](const Context& own) -> boost::asio::awaitable<void> {
        auto result = co_await shared->run(own, std::move(*request));
        detail::finish(*shared, result, out);
      };
      const detail::KeyedCall call{shared->info, fields_of<Req>(), input, make, std::move(work)};
      co_await detail::run_keyed(*idempotency, context, call, out);
    }
    if (!waits || out.error) co_return;
    auto heard = co_await barrier();
    if (heard) co_return;
    out.clear();
    out.error = std::move(heard).error();
  };
  add_checked(std::move(op));
}

}  // namespace redoubt::operations
