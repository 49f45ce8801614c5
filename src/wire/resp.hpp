// The Redis serialization protocol, RESP2 and RESP3: replies read, commands written.
//
//   RESP2  +simple  -error  :integer  $bulk  *array       ($-1 and *-1 are null)
//   RESP3  _null  #boolean  ,double  (big-number  !bulk-error  =verbatim  %map  ~set  >push
//   |attribute
//
// Attributes are read and dropped: no command of ours asks for them. Streamed strings and
// aggregates
// ($?, *?) are refused: no server sends them. Every line ends in CR LF.
//
// Threads: one per object. Errors: a reply that is malformed or over a limit ends the decoder; the
// connection it came from has lost its place and must be closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace redoubt::wire::resp {

enum class Kind : std::uint8_t {
  null,
  simple,  // +OK
  error,   // -ERR ..., or a RESP3 bulk error
  integer,
  real,  // RESP3 double
  boolean,
  bulk,
  verbatim,  // text() is without the three letters of its format
  big_number,
  array,
  map,  // items() are key, value, key, value, ...
  set,
  push,  // Out of band: belongs to no command.
};

// One reply, whole and owned. Cheap to move.
class Value {
 public:
  Value() = default;  // null

  static Value simple(std::string text) { return {Kind::simple, std::move(text)}; }
  static Value error(std::string text) { return {Kind::error, std::move(text)}; }
  static Value bulk(std::string text) { return {Kind::bulk, std::move(text)}; }
  static Value verbatim(std::string text) { return {Kind::verbatim, std::move(text)}; }
  static Value big_number(std::string digits) { return {Kind::big_number, std::move(digits)}; }
  static Value integer(std::int64_t value) { return {Kind::integer, value}; }
  static Value real(double value) { return {Kind::real, value}; }
  static Value boolean(bool value) { return {Kind::boolean, std::int64_t{value}}; }
  // `kind` is array, map, set or push. REQUIRES: an even number of items in a map.
  static Value aggregate(Kind kind, std::vector<Value> items) { return {kind, std::move(items)}; }
  static Value array(std::vector<Value> items) { return {Kind::array, std::move(items)}; }

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_error() const { return kind_ == Kind::error; }
  bool is_text() const { return std::holds_alternative<std::string>(data_); }  // An error too.
  bool is_aggregate() const { return std::holds_alternative<std::vector<Value>>(data_); }
  bool is_ok() const { return kind_ == Kind::simple && text() == "OK"; }

  // Empty, 0 or false when the value is of another kind; never throws.
  std::string_view text() const;
  std::string take_text();          // Leaves this empty.
  std::int64_t as_integer() const;  // Of boolean: 0 or 1.
  double as_real() const;           // Of integer too.
  bool as_boolean() const { return as_integer() != 0; }
  std::span<const Value> items() const;
  std::vector<Value> take_items();

  friend bool operator==(const Value&, const Value&);  // NaN equals NaN: the same reply.

 private:
  using Data = std::variant<std::monostate, std::int64_t, double, std::string, std::vector<Value>>;
  Value(Kind kind, Data data) : data_(std::move(data)), kind_(kind) {}

  Data data_;
  Kind kind_ = Kind::null;
};

// What one reply may take. They bound memory whatever lengths a server announces: room is made for
// what has arrived, not for what was promised.
struct Limits {
  std::size_t depth = 32;                  // Aggregates within aggregates.
  std::size_t elements = 4 * 1024 * 1024;  // All values of a reply together.
  std::size_t bytes = 256 * 1024 * 1024;   // Memory: texts, and 48 bytes a value.
};

// Replies from a stream of bytes, however it is cut.
class Decoder {
 public:
  enum class Status : std::uint8_t {
    more,       // Everything useful was consumed; call again with what is left and what comes.
    value,      // `out` is one reply; call again with the rest.
    malformed,  // problem() says why. It stays so.
  };

  explicit Decoder(Limits limits = {}) : limits_(limits) {}

  // Consumes a prefix of `input`, its length in `used` (also with `more`). What is not consumed
  // must be passed again, in front of what follows it; that is never more than a line, 64 KiB.
  // Cost: one pass; one allocation per text over 15 bytes and per aggregate.
  Status decode(std::string_view input, std::size_t& used, Value& out);

  std::string_view problem() const { return problem_; }

 private:
  struct Open {  // An aggregate whose items are still coming.
    Kind kind;
    bool attribute;
    std::size_t left;
    std::vector<Value> items;
  };
  enum class Step : std::uint8_t { more, complete, opened, malformed };

  Step step(std::string_view input, std::size_t& used, Value& out);
  Step header(char type, std::string_view line, Value& out);
  Step scalar(char type, std::string_view line, Value& out);
  Step begin_bulk(char type, std::string_view line, Value& out);
  Step begin_aggregate(char type, std::string_view line, Value& out);
  Step bulk(std::string_view input, std::size_t& used, Value& out);
  Step finish_bulk(std::string text, Value& out);
  bool close(Value& out);
  bool account(std::size_t bytes);
  Step refuse(std::string_view problem);

  Limits limits_;
  std::vector<Open> open_;
  std::string_view problem_;
  std::size_t elements_ = 0;  // Of the reply being read, as are the bytes.
  std::size_t bytes_ = 0;
  char bulk_type_ = 0;         // Of the bulk being read, or 0.
  std::size_t bulk_left_ = 0;  // With its CR LF.
  std::string bulk_text_;
};

// "*<n>CRLF" and each argument as a bulk string.
void append_command(std::string& out, std::span<const std::string_view> arguments);
void append_bulk(std::string& out, std::string_view text);

// A value as a server sends it in RESP3. For tests and for passing replies on.
void append_value(std::string& out, const Value& value);
// As a server sends it to a client that speaks RESP2: maps and sets flat, doubles as text.
void append_value_resp2(std::string& out, const Value& value);

}  // namespace redoubt::wire::resp
