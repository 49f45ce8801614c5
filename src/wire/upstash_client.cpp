#include "wire/upstash_client.hpp"

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "wire/http1.hpp"
#include "wire/json_text.hpp"

#include <algorithm>
#include <charconv>

namespace redoubt::wire::upstash {
namespace {

using resp::Value;

constexpr std::size_t kDepthMax = 64;

bool has_fraction(std::string_view number) {
  return number.find_first_of(".eE") != std::string_view::npos;
}

class ReplyReader {
 public:
  explicit ReplyReader(std::string_view text) : json_(text) {}

  // {"result":...} or {"error":"..."}. Other members are passed over.
  bool reply(Value& out) {
    bool found = false;
    if (!json_.take('{')) return false;
    do {
      std::string name;
      if (json_.peek() != '"' || !json_.decode_string(name) || !json_.take(':')) return false;
      if (name == "result") {
        if (found || !value(out, kDepthMax)) return false;
        found = true;
      } else if (name == "error") {
        if (found || !error(out, found)) return false;
      } else {
        std::string ignored;
        if (!json_.copy_value(ignored, kDepthMax)) return false;
      }
    } while (json_.take(','));
    return json_.take('}') && found;
  }

  bool replies(std::vector<Value>& out) {
    if (!json_.take('[')) return false;
    if (json_.take(']')) return true;
    do {
      if (!reply(out.emplace_back())) return false;
    } while (json_.take(','));
    return json_.take(']');
  }

  bool at_end() { return json_.at_end(); }

 private:
  // A null beside a result says that there is none.
  bool error(Value& out, bool& found) {
    if (json_.peek() == 'n') return json_.take_word("null");
    std::string text;
    if (json_.peek() != '"' || !json_.decode_string(text)) return false;
    out = Value::error(std::move(text));
    found = true;
    return true;
  }

  bool value(Value& out, std::size_t depth) {
    switch (json_.peek()) {
      case '"':
        return string(out);
      case '[':
        return array(out, depth);
      case 'n':
        out = Value();
        return json_.take_word("null");
      case 't':
        out = Value::integer(1);
        return json_.take_word("true");
      case 'f':
        out = Value::integer(0);
        return json_.take_word("false");
      default:
        return number(out);
    }
  }

  bool array(Value& out, std::size_t depth) {
    if (depth == 0) return false;
    json_.take('[');
    std::vector<Value> items;
    if (!json_.take(']')) {
      do {
        if (!value(items.emplace_back(), depth - 1)) return false;
      } while (json_.take(','));
      if (!json_.take(']')) return false;
    }
    out = Value::array(std::move(items));
    return true;
  }

  // Base64, or OK. What is neither is an error within an array, which is sent as it is.
  bool string(Value& out) {
    std::string text;
    if (!json_.decode_string(text)) return false;
    if (text == "OK") {
      out = Value::simple(std::move(text));
    } else if (const auto bytes = from_base64(text)) {
      out = Value::bulk(std::string(as_text(*bytes)));
    } else {
      out = Value::error(std::move(text));
    }
    return true;
  }

  bool number(Value& out) {
    std::string_view text;
    if (!json_.number(text)) return false;
    const auto whole = has_fraction(text) ? std::nullopt : parse_int(text);
    if (whole) {
      out = Value::integer(*whole);
      return true;
    }
    double real = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (ec != std::errc()) return false;
    out = Value::real(real);
    return true;
  }

  JsonText json_;
};

}  // namespace

bool is_text(Arguments arguments) {
  return std::ranges::all_of(arguments, [](std::string_view text) { return is_utf8(text); });
}

void append_command(std::string& out, Arguments arguments) {
  char separator = '[';
  for (const std::string_view argument : arguments) {
    out += separator;
    append_json_string(out, argument);
    separator = ',';
  }
  out += arguments.empty() ? "[]" : "]";
}

std::string path_of(Arguments arguments) {
  if (arguments.size() < 2 || arguments.back().empty()) return {};
  for (const std::string_view reserved :
       {"pipeline", "multi-exec", "subscribe", "psubscribe", "monitor"}) {
    if (ascii_iequals(arguments.front(), reserved)) return {};
  }
  // A slash at the end would be dropped, and with it an empty argument.
  if (arguments[arguments.size() - 2].empty()) return {};
  std::string path;
  for (const std::string_view argument : arguments.first(arguments.size() - 1)) {
    path += '/';
    path += percent_encode(argument);
  }
  return path;
}

std::optional<Value> read_reply(std::string_view text) {
  if (!is_utf8(text)) return std::nullopt;
  ReplyReader reader(text);
  Value value;
  if (!reader.reply(value) || !reader.at_end()) return std::nullopt;
  return value;
}

std::optional<std::vector<Value>> read_replies(std::string_view text) {
  if (!is_utf8(text)) return std::nullopt;
  ReplyReader reader(text);
  std::vector<Value> values;
  if (!reader.replies(values) || !reader.at_end()) return std::nullopt;
  return values;
}

bool EventReader::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return has_data_;
  if (!line.starts_with("data")) return false;
  line.remove_prefix(4);
  if (!line.empty() && !line.starts_with(':')) return false;
  if (line.starts_with(':')) line.remove_prefix(1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
  return false;
}

std::string_view EventReader::comment_of(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  line.remove_prefix(1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  return line;
}

}  // namespace redoubt::wire::upstash
