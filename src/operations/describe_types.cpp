#include "operations/describe_types.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"
#include "operations/complaint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>

namespace redoubt::operations {
namespace {

constexpr std::size_t kFieldsMax = 64;
constexpr std::size_t kPointerMax = 512;  // A client that sends longer names gets their parent.
constexpr std::size_t kTypoMax = 64;      // Longer names are not looked at for a typo.

// One step down for as long as it lives, escaped as RFC 6901 wants it.
class Step {
 public:
  Step(Path& path, std::string_view key) : path_(path), size_(path.pointer.size()) {
    path_.pointer += '/';
    for (const char c : key) {
      if (c == '~') {
        path_.pointer += "~0";
      } else if (c == '/') {
        path_.pointer += "~1";
      } else {
        path_.pointer += c;
      }
    }
  }
  ~Step() { path_.pointer.resize(size_); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  Path& path_;
  std::size_t size_;
};

std::string_view where_name(Where where) {
  switch (where) {
    case Where::path:
      return "path";
    case Where::query:
      return "query";
    case Where::header:
      return "header";
    case Where::body:
    case Where::raw_body:
      break;
  }
  return "body";
}

void append_dotted(std::string& out, std::string_view pointer) {
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    const char c = pointer[i];
    if (c == '/') {
      out += '.';
    } else if (c == '~' && i + 1 < pointer.size()) {
      out += pointer[++i] == '1' ? '/' : '~';
    } else {
      out += c;
    }
  }
}

std::string count_text(const FieldInfo& info, std::string_view unit) {
  if (info.max == kUnbounded) return fmt::format("must have at least {} {}", info.min, unit);
  if (info.min == 0) return fmt::format("must have at most {} {}", info.max, unit);
  return fmt::format("must have {} to {} {}", info.min, info.max, unit);
}

void add_unknown(FieldErrors& errors, Path& path, std::string_view name,
                 std::span<const FieldInfo> fields) {
  if (errors.size() >= kFieldErrorsMax) return;
  std::string detail = "is not a field of this request";
  if (name.size() <= kTypoMax) {
    std::vector<std::string_view> candidates;
    for (const FieldInfo& field : fields) {
      if (field.where == Where::body) candidates.push_back(field.name);
    }
    const std::string_view meant = nearest(name, candidates);
    if (!meant.empty()) detail += fmt::format("; did you mean {}?", meant);
  }
  const Step step(path, name);
  add_error(errors, path, std::move(detail), "unknown");
}

// `,"name":` in one growth of the buffer. Field names need no escapes: they are ours.
void append_key(std::string& out, char separator, std::string_view name) {
  const std::size_t before = out.size();
  const std::size_t after = before + name.size() + 4;
  // libstdc++ 12 passes the capacity instead of the size, so the size comes from here.
  out.resize_and_overwrite(after, [&](char* data, std::size_t) {
    char* p = data + before;
    *p++ = separator;
    *p++ = '"';
    p = std::copy(name.begin(), name.end(), p);
    *p++ = '"';
    *p++ = ':';
    return after;
  });
}

}  // namespace

std::size_t find_body_field(std::span<const FieldInfo> fields, std::string_view name) {
  std::size_t i = 0;
  while (i < fields.size() && (fields[i].where != Where::body || fields[i].name != name)) ++i;
  return i;
}

Complaint check_count(const FieldInfo& info, std::size_t count, std::string_view unit) {
  if (in_bounds(info, static_cast<std::int64_t>(count))) return {};
  if (count == 0) return {"must not be empty", "length"};
  return {count_text(info, unit), "length"};
}

std::string location_of(const FieldInfo& info) {
  if (info.where == Where::raw_body) return "body";
  std::string out(where_name(info.where));
  out += '.';
  out += info.wire_name.empty() ? info.name : info.wire_name;
  return out;
}

void add_error(FieldErrors& errors, const Path& path, std::string detail, std::string_view code) {
  if (errors.size() >= kFieldErrorsMax) return;
  std::string_view pointer = path.pointer;
  if (pointer.size() > kPointerMax) {
    pointer = pointer.substr(0, pointer.substr(0, kPointerMax).rfind('/'));
  }
  FieldError error;
  error.location = path.location;
  append_dotted(error.location, pointer);
  if (path.location == "body") error.pointer = pointer;
  error.detail = std::move(detail);
  error.code = code;
  errors.push_back(std::move(error));
}

void add_error(FieldErrors& errors, const FieldInfo& info, std::string detail,
               std::string_view code) {
  add_error(errors, detail::path_of(info), std::move(detail), code);
}

bool read_object(const json::value& in, std::span<const FieldInfo> fields, void* out, Path& path,
                 FieldErrors& errors) {
  RD_ASSERT(fields.size() <= kFieldsMax, "too many fields in one struct");
  if (!in.is_object()) {
    add_error(errors, path, "must be a JSON object", "type");
    return false;
  }
  bool good = true;
  std::bitset<kFieldsMax> seen;
  for (const auto& member : in.get_object()) {
    const std::string_view name = member.key();
    const std::size_t i = find_body_field(fields, name);
    if (i == fields.size()) {
      add_unknown(errors, path, name, fields);
      good = false;
      continue;
    }
    seen.set(i);
    const FieldInfo& field = fields[i];
    const Step step(path, name);
    good &= field.type->parse(member.value(), field.member(out), field, path, errors);
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].required || fields[i].where != Where::body || seen.test(i)) continue;
    const Step step(path, fields[i].name);
    add_error(errors, path, "is required", "required");
    good = false;
  }
  return good;
}

void write_object(std::string& out, std::span<const FieldInfo> fields, const void* object) {
  char separator = '{';
  for (const FieldInfo& field : fields) {
    if (field.where != Where::body) continue;
    const void* member = field.member(const_cast<void*>(object));
    if (field.type->omit != nullptr && field.type->omit(member)) continue;
    append_key(out, separator, field.name);
    field.type->write(out, member);
    separator = ',';
  }
  out += separator == '{' ? "{}" : "}";
}

namespace detail {

FieldInfo element_info(const FieldInfo& info, const TypeOps& type) {
  FieldInfo element;
  element.name = info.name;
  element.wire_name = info.wire_name;
  element.where = info.where;
  element.type = &type;
  return element;
}

Path path_of(const FieldInfo& info) {
  Path path;
  if (info.where == Where::body) {
    const Step step(path, info.name);
    return path;
  }
  path.location = location_of(info);
  return path;
}

bool parse_json_text(std::string_view in, void* out, const FieldInfo& info, const TypeOps& type,
                     FieldErrors& errors) {
  const auto value = parse_json(in);
  if (!value) {
    add_error(errors, info, value.error().message, "format");
    return false;
  }
  Path path = path_of(info);
  return type.parse(*value, out, info, path, errors);
}

std::optional<std::size_t> parse_name(std::string_view in, Names names, const Path& path,
                                      FieldErrors& errors) {
  const auto found = std::ranges::find(names, in);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  if (errors.size() >= kFieldErrorsMax) return std::nullopt;
  std::string detail = fmt::format("must be one of {}", fmt::join(names, ", "));
  if (in.size() <= kTypoMax) {
    const std::string_view meant = nearest(in, {names.begin(), names.end()});
    if (!meant.empty()) detail += fmt::format("; did you mean {}?", meant);
  }
  add_error(errors, path, std::move(detail), "enum");
  return std::nullopt;
}

std::optional<std::size_t> parse_name(const json::value& in, Names names, const Path& path,
                                      FieldErrors& errors) {
  if (in.is_string()) return parse_name(std::string_view(in.get_string()), names, path, errors);
  add_error(errors, path, fmt::format("must be one of {}", fmt::join(names, ", ")), "type");
  return std::nullopt;
}

void write_name(std::string& out, Names names, std::size_t index) {
  RD_ASSERT(index < names.size(), "an enum value without a name");
  out += '"';
  out += names[index];
  out += '"';
}

void write_map_key(std::string& out, std::string_view key) {
  append_json_string(out, key);
  out += ':';
}

bool parse_list(const json::value& in, void* out, const Container& container, const TypeOps& item,
                const FieldInfo& info, Path& path, FieldErrors& errors) {
  if (!in.is_array()) {
    add_error(errors, path, "must be a list", "type");
    return false;
  }
  const auto& values = in.get_array();
  Complaint complaint = check_count(info, values.size(), "items");
  if (!complaint.code.empty()) {
    add_error(errors, path, std::move(complaint.detail), complaint.code);
    return false;  // Its items are not worth reading: there may be very many.
  }
  const FieldInfo element = element_info(info, item);
  container.clear(out);
  bool good = true;
  std::size_t index = 0;
  for (const json::value& value : values) {
    const Step step(path, fmt::format_int(index++).str());
    good &= item.parse(value, container.append(out, {}), element, path, errors);
  }
  return good;
}

bool parse_list_text(std::string_view in, void* out, const Container& container,
                     const TypeOps& item, const FieldInfo& info, FieldErrors& errors) {
  const auto values = in.empty() ? std::vector<std::string_view>{} : split(in, ',');
  Complaint complaint = check_count(info, values.size(), "items");
  if (!complaint.code.empty()) {
    add_error(errors, info, std::move(complaint.detail), complaint.code);
    return false;
  }
  const FieldInfo element = element_info(info, item);
  container.clear(out);
  bool good = true;
  for (const std::string_view value : values) {
    good &= item.parse_text(value, container.append(out, {}), element, errors);
  }
  return good;
}

bool parse_map(const json::value& in, void* out, const Container& container, const TypeOps& item,
               const FieldInfo& info, Path& path, FieldErrors& errors) {
  if (!in.is_object()) {
    add_error(errors, path, "must be a JSON object", "type");
    return false;
  }
  const auto& members = in.get_object();
  Complaint complaint = check_count(info, members.size(), "items");
  if (!complaint.code.empty()) {
    add_error(errors, path, std::move(complaint.detail), complaint.code);
    return false;
  }
  const FieldInfo element = element_info(info, item);
  container.clear(out);
  bool good = true;
  for (const auto& member : members) {
    const std::string_view key = member.key();
    const Step step(path, key);
    if (key.find('\0') != std::string_view::npos) {
      add_error(errors, path, "must not have U+0000 in its name", "format");
      good = false;
      continue;
    }
    good &= item.parse(member.value(), container.append(out, key), element, path, errors);
  }
  return good;
}

}  // namespace detail
}  // namespace redoubt::operations
