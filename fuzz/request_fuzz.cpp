// Any body, query and header into a described struct: no crash, and errors that are well formed.
// What was read is written, and what was written is read to the same text.
#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "operations/operation.hpp"
#include "operations/problem.hpp"
#include "tests/support/example_operations.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace {

using namespace redoubt;
using namespace redoubt::operations;

class AnyHeader final : public HeaderSource {
 public:
  explicit AnyHeader(std::string_view value) : value_(value) {}
  std::string_view header(std::string_view) const override { return value_; }

 private:
  std::string_view value_;
};

void check_error(const Error& error) {
  RD_ASSERT(error.code == Errc::invalid_argument, error.slug);
  RD_ASSERT(error.slug == "json_invalid" || !error.fields.empty(), error.slug);
  RD_ASSERT(error.fields.size() <= kFieldErrorsMax, "too many errors");
  for (const FieldError& field : error.fields) {
    RD_ASSERT(!field.location.empty() && !field.detail.empty() && !field.code.empty(),
              "an error that says nothing");
    RD_ASSERT(field.pointer.empty() || field.pointer.front() == '/', field.pointer);
  }
  std::string problem;
  write_problem(problem, problem_of(error, "r1", "/"));
  RD_ASSERT(parse_json(problem).has_value(), problem);
}

template <class T>
void read(const OperationInput& input) {
  T object;
  if (const auto result = read_request(fields_of<T>(), &object, input); !result) {
    check_error(result.error());
  }
}

void round_trip(const OperationInput& input) {
  test::PutWidget first;
  if (!read_request(fields_of<test::PutWidget>(), &first, input)) return;
  std::string written;
  write_object(written, fields_of<test::PutWidget>(), &first);
  RD_ASSERT(is_utf8(written), written);
  OperationInput again = input;
  again.body = written;
  test::PutWidget second;
  // A number may take a byte or two more when written again, and so may not fit a bound on JSON.
  if (!read_request(fields_of<test::PutWidget>(), &second, again)) return;
  std::string rewritten;
  write_object(rewritten, fields_of<test::PutWidget>(), &second);
  RD_ASSERT(written == rewritten, written + " became " + rewritten);
}

}  // namespace

// The input: query, header and body, separated by NUL.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take = [&rest] {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
  };
  const std::string_view query = take();
  const AnyHeader headers(take());
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const OperationInput input{
      .path = path, .query = query, .body = rest, .content_type = {}, .headers = &headers};
  read<test::PutWidget>(input);
  read<test::ListWidgets>(input);
  read<test::PutImage>(input);
  round_trip(input);
  return 0;
}
