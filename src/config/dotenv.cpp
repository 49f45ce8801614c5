#include "config/dotenv.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace redoubt::config {
namespace {

bool is_name_byte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_name_byte) &&
         !(text.front() >= '0' && text.front() <= '9');
}

// Would another reader expand the `$` before `next`?
bool starts_expansion(std::string_view next) {
  return !next.empty() && (next.front() == '{' || is_name_byte(next.front()));
}

std::optional<char> unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '"':
    case '\\':
    case '$':
      return c;
    default:
      return std::nullopt;
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text), whole_(text) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  }

  Parsed<std::map<std::string, DotenvValue>> read() {
    while (!rest_.empty()) {
      if (auto done = read_line(); !done) {
        return wrong(fmt::format("line {}: {}", line_, done.error()));
      }
    }
    return std::move(values_);
  }

 private:
  Parsed<void> read_line() {
    const auto before = whole_.substr(0, whole_.size() - rest_.size());
    line_ += static_cast<int>(std::ranges::count(before.substr(counted_), '\n'));
    counted_ = before.size();
    skip_spaces();
    if (at_line_end() || rest_.front() == '#') {
      take_line();
      return {};
    }
    const auto equals = rest_.substr(0, rest_.find('\n')).find('=');
    if (equals == std::string_view::npos) return wrong("expected NAME=value");
    auto name = trim(rest_.substr(0, equals));
    if (name.starts_with("export ")) name = trim(name.substr(7));
    if (!is_name(name)) return wrong(fmt::format("{} is not a name", quote(name)));
    rest_.remove_prefix(equals + 1);
    skip_spaces();
    DotenvValue value;
    value.line = line_;
    if (auto done = read_value(value); !done) return done;
    values_.insert_or_assign(std::string(name), std::move(value));
    return {};
  }

  Parsed<void> read_value(DotenvValue& value) {
    if (!rest_.empty() && rest_.front() == '\'') return read_literal(value);
    if (!rest_.empty() && rest_.front() == '"') return read_escaped(value);
    auto text = take_line();
    if (text.starts_with('#')) text = {};
    if (const auto comment = text.find(" #"); comment != std::string_view::npos) {
      text = text.substr(0, comment);
    }
    value.text = trim(text);
    for (std::size_t i = 0; i < value.text.size(); ++i) {
      value.expands |=
          value.text[i] == '$' && starts_expansion(std::string_view(value.text).substr(i + 1));
    }
    return {};
  }

  Parsed<void> read_literal(DotenvValue& value) {
    const auto end = rest_.find('\'', 1);
    if (end == std::string_view::npos) return wrong("no closing '");
    value.text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return finish_quoted();
  }

  Parsed<void> read_escaped(DotenvValue& value) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '$' && starts_expansion(rest_)) value.expands = true;
      if (c == '\\') {
        const auto plain = rest_.empty() ? std::nullopt : unescaped(rest_.front());
        if (!plain) return wrong("a backslash in \"...\" goes before n, r, t, \", \\ or $");
        c = *plain;
        rest_.remove_prefix(1);
      }
      value.text += c;
    }
    if (rest_.empty()) return wrong("no closing \"");
    rest_.remove_prefix(1);
    return finish_quoted();
  }

  Parsed<void> finish_quoted() {
    const auto after = trim(take_line());
    if (!after.empty() && !after.starts_with('#')) {
      return wrong("only a comment may follow the closing quote");
    }
    return {};
  }

  void skip_spaces() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  bool at_line_end() const {
    return rest_.empty() || rest_.front() == '\n' || rest_.front() == '\r';
  }

  std::string_view take_line() {
    const auto end = rest_.find('\n');
    const auto line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }

  std::string_view rest_;
  std::string_view whole_;
  std::size_t counted_ = 0;  // Line breaks before this offset are in line_.
  int line_ = 1;
  std::map<std::string, DotenvValue> values_;
};

}  // namespace

Parsed<std::map<std::string, DotenvValue>> parse_dotenv(std::string_view text) {
  return Reader(text).read();
}

}  // namespace redoubt::config
