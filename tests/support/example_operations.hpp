// A few operations that use everything a description can say, for tests of what is made from them.
#pragma once

#include "operations/operation.hpp"

#include <utility>

namespace redoubt::test {

using namespace std::chrono_literals;
namespace ops = redoubt::operations;

enum class Shape : std::uint8_t { round, square };

}  // namespace redoubt::test

template <>
struct redoubt::operations::EnumNames<redoubt::test::Shape> {
  static constexpr std::array<std::string_view, 2> names{"round", "square"};
};

namespace redoubt::test {

struct Part {
  std::string name;
  std::int64_t count = 1;
  static constexpr std::string_view schema_name = "Part";
  static constexpr auto fields =
      ops::describe(ops::field<&Part::name>("name", "What the part is called.", ops::required,
                                            ops::length(1, 16)),
                    ops::field<&Part::count>("count", "How many there are.", ops::between(1, 100)));
};

struct PutWidget {
  std::string id;
  std::string name;
  Shape shape = Shape::square;
  Duration ttl = 30s;
  std::optional<double> weight;
  std::optional<WallTime> made_at;
  ops::Json data{"{}"};
  std::vector<Part> parts;
  std::vector<std::string> tags;
  std::map<std::string, std::int64_t> sizes;
  bool dry_run = false;
  std::optional<std::int64_t> if_version;
  static constexpr std::string_view schema_name = "PutWidget";
  static constexpr auto fields = ops::describe(
      ops::field<&PutWidget::id>("id", "Which widget.", ops::length(1, 8), ops::in_path,
                                 ops::example("w1")),
      ops::field<&PutWidget::name>("name", "What it is called.", ops::required, ops::length(1, 16),
                                   ops::example("gear")),
      ops::field<&PutWidget::shape>("shape", "What it looks like."),
      ops::field<&PutWidget::ttl>("ttl", "How long it lasts.", ops::between(1s, 1h)),
      ops::field<&PutWidget::weight>("weight", "In kilograms.", ops::between(0, 1000)),
      ops::field<&PutWidget::made_at>("made_at", "When it was made."),
      ops::field<&PutWidget::data>("data", "Anything.", ops::length(0, 64)),
      ops::field<&PutWidget::parts>("parts", "What it is made of.", ops::items(0, 3)),
      ops::field<&PutWidget::tags>("tags", "Words to find it by.", ops::items(0, 4)),
      ops::field<&PutWidget::sizes>("sizes", "Measures by name."),
      ops::field<&PutWidget::dry_run>("dry_run", "Only say what would happen.", ops::in_query),
      ops::field<&PutWidget::if_version>("if_version", "Only if this is still the version.",
                                         ops::in_header("If-Match")));
};

struct Widget {
  std::string id;
  std::string name;
  Duration ttl{0};
  std::optional<std::string> note;
  std::vector<Part> parts;
  static constexpr std::string_view schema_name = "Widget";
  static constexpr auto fields =
      ops::describe(ops::field<&Widget::id>("id", "Which widget."),
                    ops::field<&Widget::name>("name", "What it is called."),
                    ops::field<&Widget::ttl>("ttl", "How long it lasts."),
                    ops::field<&Widget::note>("note", "What someone said about it."),
                    ops::field<&Widget::parts>("parts", "What it is made of."));
};

struct WidgetId {
  std::string id;
  static constexpr std::string_view schema_name = "WidgetId";
  static constexpr auto fields =
      ops::describe(ops::field<&WidgetId::id>("id", "Which widget.", ops::in_path));
};

struct ListWidgets {
  std::int64_t limit = 50;
  std::string cursor;
  std::vector<Shape> shapes;
  static constexpr std::string_view schema_name = "ListWidgets";
  static constexpr auto fields =
      ops::describe(ops::field<&ListWidgets::limit>("limit", "At most this many.",
                                                    ops::between(1, 1000), ops::in_query),
                    ops::field<&ListWidgets::cursor>("cursor", "Where the last page ended.",
                                                     ops::length(0, 64), ops::in_query),
                    ops::field<&ListWidgets::shapes>("shapes", "Only these.", ops::in_query));
};

struct WidgetPage {
  std::vector<Widget> widgets;
  static constexpr std::string_view schema_name = "WidgetPage";
  static constexpr auto fields =
      ops::describe(ops::field<&WidgetPage::widgets>("widgets", "This page."));
};

struct PutImage {
  std::string id;
  std::string image;
  static constexpr std::string_view schema_name = "PutImage";
  static constexpr auto fields =
      ops::describe(ops::field<&PutImage::id>("id", "Which widget.", ops::in_path),
                    ops::field<&PutImage::image>("image", "Its picture.", ops::required,
                                                 ops::length(1, 1024), ops::raw_body));
};

struct NoFields {
  static constexpr std::string_view schema_name = "NoFields";
  static constexpr auto fields = ops::describe();
};

inline Task<Widget> put_widget(const Context&, PutWidget request) {
  Widget widget{.id = std::move(request.id),
                .name = std::move(request.name),
                .ttl = request.ttl,
                .note = {},
                .parts = std::move(request.parts)};
  co_return widget;
}
inline Task<WidgetPage> list_widgets(const Context&, ListWidgets) {
  co_return WidgetPage{};
}
inline Task<ops::NoReply> delete_widget(const Context&, WidgetId request) {
  if (request.id == "none") co_return fail(not_found("widget"));
  co_return ops::NoReply{};
}
inline Task<ops::NoReply> put_image(const Context&, PutImage) {
  co_return ops::NoReply{};
}
inline Task<ops::RawReply> get_image(const Context&, WidgetId) {
  co_return ops::RawReply{.content_type = "image/png", .body = "png"};
}
inline Task<ops::NoReply> ping(const Context&, NoFields) {
  co_return ops::NoReply{};
}

inline ops::OperationInfo widget_info(std::string_view id, ops::Method method,
                                      std::string_view path, std::string_view summary,
                                      ops::Access access) {
  return {.id = id,
          .method = method,
          .path = path,
          .summary = summary,
          .area = Area::cache,
          .access = access};
}

inline void register_widgets(ops::Registry& registry) {
  using enum ops::Method;
  using enum ops::Access;
  constexpr std::string_view kOne = "/api/v1/widgets/{id}";
  registry.add(ops::OperationSpec<PutWidget, Widget>{
      .info = widget_info("widgets.put", put, kOne, "Put a widget", write), .run = put_widget});
  registry.add(ops::OperationSpec<WidgetId, ops::NoReply>{
      .info = widget_info("widgets.delete", del, kOne, "Delete a widget", admin),
      .run = delete_widget});
  registry.add(ops::OperationSpec<ListWidgets, WidgetPage>{
      .info = widget_info("widgets.list", get, "/api/v1/widgets", "List widgets", read),
      .run = list_widgets});
  registry.add(ops::OperationSpec<PutImage, ops::NoReply>{
      .info = widget_info("widgets.put_image", put, "/api/v1/widgets/{id}/image",
                          "Put the picture of a widget", write),
      .run = put_image});
  registry.add(ops::OperationSpec<WidgetId, ops::RawReply>{
      .info = widget_info("widgets.get_image", get, "/api/v1/widgets/{id}/image",
                          "Get the picture of a widget", read),
      .run = get_image});
  auto info = widget_info("ping", post, "/api/v1/widgets/ping", "Answer", read);
  info.is_public = true;
  registry.add(ops::OperationSpec<NoFields, ops::NoReply>{.info = info, .run = ping});
}

}  // namespace redoubt::test
