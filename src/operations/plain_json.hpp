// Reads the JSON that nearly every client sends straight into the described struct, without a
// document in between: printable ASCII without escapes, whole numbers, true and false, no key twice
// and none unknown, every value within its bounds. Of anything else it says "not plain", and then
// parse_json() and read_object() decide: they are the only ones that refuse, and say why.
//
// What was read by then is of no consequence: the members it has set are in the text, so
// read_object() sets them again or refuses the whole.
#pragma once

#include "operations/describe.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace redoubt::operations {

class PlainJson {
 public:
  static constexpr std::size_t kBytesMax = 4096;  // Longer texts are not worth a second look.
  static constexpr std::size_t kItemsMax = 64;
  static constexpr std::size_t kMembersMax = 16;  // Of an object that is kept as JSON.
  static constexpr int kDepthMax = 8;

  explicit PlainJson(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  // Each skips white space first. False: something else is there, or nothing.
  bool take(char c);
  bool string(std::string_view& out);
  bool integer(std::int64_t& out);
  bool boolean(bool& out);
  // Any value of plain parts, appended as append_json() writes it.
  bool value(std::string& out, int depth = 0);
  bool at_end();

 private:
  void skip_space();
  bool object(std::string& out, int depth);
  bool array(std::string& out, int depth);
  bool word(std::string_view expected);

  const char* at_;
  const char* end_;
};

// True: `out` is what parse_json() and read_object() would have made of `text`.
bool read_plain_body(std::string_view text, std::span<const FieldInfo> fields, void* out);
bool read_plain_object(PlainJson& in, std::span<const FieldInfo> fields, void* out);

}  // namespace redoubt::operations
