// A cursor over JSON text (RFC 8259) for readers that build something other than a DOM. Strict:
// what it passes over is well-formed. Its input is UTF-8, which the caller has checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace redoubt::wire {

class JsonText {
 public:
  explicit JsonText(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  void skip_spaces();
  // Past white space and `c`, if that is next.
  bool take(char c);
  // Past white space, to the end.
  bool at_end();
  // The next character after white space; 0 at the end.
  char peek();
  bool take_word(std::string_view word);  // No white space before it.

  // At a quote: the string's content as it stands when it has no escapes, and then the cursor is
  // behind it; else false, with the cursor where it was, and decode_string is to be called.
  bool plain_string(std::string_view& out);
  // At a quote: appends the decoded content. A lone surrogate becomes U+FFFD. What is appended is
  // never longer than its source.
  bool decode_string(std::string& out);
  bool skip_string();

  // False when there is no number here. `out` is its text.
  bool number(std::string_view& out);

  // Copies a value without the white space between its tokens.
  bool copy_value(std::string& out, std::size_t depth_max);

 private:
  bool decode_escape(std::string& out);
  bool decode_unicode(std::string& out);
  bool four_digits(unsigned& code);
  bool copy_items(std::string& out, std::size_t depth_max, char close, bool members);
  bool copy_name(std::string& out);
  std::string_view rest() const { return {at_, end_}; }

  const char* at_;
  const char* end_;
};

}  // namespace redoubt::wire
