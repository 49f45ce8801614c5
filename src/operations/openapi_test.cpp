#include "operations/openapi.hpp"

#include "base/json.hpp"
#include "tests/support/example_operations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace redoubt::operations {
namespace {

// What the document of the example operations is: reviewed, then kept. REDOUBT_UPDATE_GOLDEN=1 in
// the environment writes it anew.
std::filesystem::path golden_file() {
  return std::filesystem::path(SOURCE_DIRECTORY) / "src" / "operations" / "testdata" /
         "openapi.json";
}

std::string document() {
  Registry registry;
  test::register_widgets(registry);
  return openapi_document(registry, {.version = "1.2.3"});
}

json::value parsed(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value) << text.substr(0, 200);
  return value ? std::move(*value) : json::value();
}

void collect_references(const json::value& value, std::set<std::string>& out) {
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) collect_references(item, out);
  }
  if (!value.is_object()) return;
  for (const auto& member : value.get_object()) {
    if (member.key() == "$ref") out.emplace(member.value().as_string());
    collect_references(member.value(), out);
  }
}

const json::value* at_pointer(const json::value& root, std::string_view reference) {
  boost::system::error_code error;
  return root.find_pointer(reference.substr(1), error);
}

TEST(OpenApi, IsTheDocumentThatWasReviewed) {
  const std::string text = document();
  if (std::getenv("REDOUBT_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(golden_file()) << text << "\n";
  }
  std::ostringstream golden;
  golden << std::ifstream(golden_file()).rdbuf();
  EXPECT_EQ(parsed(text), parsed(golden.str())) << text;
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
  const json::value root = parsed(document());
  std::set<std::string> references;
  collect_references(root, references);
  EXPECT_GT(references.size(), 10u);
  for (const std::string& reference : references) {
    EXPECT_NE(at_pointer(root, reference), nullptr) << reference;
  }
}

TEST(OpenApi, RequestsAreClosedAndRepliesAreOpen) {
  const json::value root = parsed(document());
  const auto& schemas = root.at("components").at("schemas").as_object();
  EXPECT_EQ(schemas.at("PutWidget").at("additionalProperties"), json::value(false));
  EXPECT_EQ(to_json(schemas.at("PutWidget").at("required")), R"(["name"])");
  EXPECT_FALSE(schemas.at("Widget").as_object().contains("additionalProperties"));
  EXPECT_EQ(to_json(schemas.at("Widget").at("required")), R"(["id","name","ttl","parts"])");
}

TEST(OpenApi, AStructUsedBothWaysHasTwoSchemas) {
  const json::value root = parsed(document());
  const auto& schemas = root.at("components").at("schemas").as_object();
  EXPECT_EQ(to_json(schemas.at("Part").at("required")), R"(["name","count"])");
  EXPECT_EQ(to_json(schemas.at("PartInput").at("required")), R"(["name"])");
  EXPECT_EQ(to_json(schemas.at("PutWidget").at("properties").at("parts").at("items")),
            R"({"$ref":"#/components/schemas/PartInput"})");
}

TEST(OpenApi, DefaultsAreThoseOfTheStruct) {
  const json::value root = parsed(document());
  const auto& properties =
      root.at("components").at("schemas").at("PutWidget").at("properties").as_object();
  EXPECT_EQ(to_json(properties.at("ttl").at("default")), "30");
  EXPECT_EQ(to_json(properties.at("shape").at("default")), R"("square")");
  EXPECT_FALSE(properties.at("name").as_object().contains("default"));
  EXPECT_FALSE(properties.at("weight").as_object().contains("default"));
}

TEST(OpenApi, PublicOperationsNeedNothing) {
  const json::value root = parsed(document());
  const auto& ping = root.at("paths").at("/api/v1/widgets/ping").at("post").as_object();
  EXPECT_TRUE(ping.at("security").as_array().empty());
  EXPECT_FALSE(ping.at("responses").as_object().contains("401"));
  const auto& put = root.at("paths").at("/api/v1/widgets/{id}").at("put").as_object();
  EXPECT_EQ(to_json(put.at("security")), R"([{"apiKey":[]}])");
  EXPECT_TRUE(put.at("responses").as_object().contains("412"));
}

}  // namespace
}  // namespace redoubt::operations
