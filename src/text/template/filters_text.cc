// Filters that make text.
#include <fmt/format.h>

#include <string>

#include "text/template/arguments.h"
#include "text/template/filters.h"
#include "text/template/format.h"
#include "text/template/limits.h"
#include "text/template/text_operations.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

Value make_string(Runtime& runtime, const MarkedText& text) {
  return Value::string(runtime.arena(), text);
}

template <MarkedText (*convert)(Runtime& runtime, const MarkedText& text)>
Value apply(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("upper", arguments, {});
  return make_string(runtime, convert(runtime, to_text(runtime, input)));
}

// The words of the title filter begin behind white space, hyphens and opening brackets.
bool ends_title_word(uint32_t code) {
  return is_white_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
}

MarkedText title_case(Runtime& runtime, const MarkedText& text) {
  return title(runtime, text, ends_title_word);
}

MarkedText as_string(Runtime&, const MarkedText& text) {
  return text;
}

MarkedText escape_html(Runtime& runtime, const MarkedText& text) {
  MarkedTextBuilder out(runtime.arena());
  runtime.charge(text.size() / 16);
  text.for_each_run([&](std::string_view piece, Origin origin) {
    std::string escaped;
    for (const char c : piece) {
      switch (c) {
        case '&':
          escaped += "&amp;";
          break;
        case '<':
          escaped += "&lt;";
          break;
        case '>':
          escaped += "&gt;";
          break;
        case '"':
          escaped += "&#34;";
          break;
        case '\'':
          escaped += "&#39;";
          break;
        default:
          escaped += c;
      }
    }
    out.append(escaped, origin);
  });
  return out.finish();
}

Value apply_trim(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("trim", arguments, {"chars"});
  const MarkedText text = to_text(runtime, input);
  std::optional<std::string_view> characters;
  if (bound.has(0) && !bound.at(0).is(Kind::kNone)) {
    characters = bound.string_at(0).text();
    charge_search(runtime, text.size(), characters->size());
  }
  return make_string(runtime, strip(text, characters, Side::kBoth));
}

Value apply_replace(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
  const MarkedText from = to_text(runtime, bound.at(0));
  const bool has_count = bound.has(2) && !bound.at(2).is(Kind::kNone);
  return make_string(runtime,
                     replace(runtime, to_text(runtime, input), from.text(), to_text(runtime, bound.at(1)),
                             has_count ? bound.integer_or(2, -1) : -1));
}

Value apply_indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("indent", arguments, {"width", "first", "blank"});
  const bool indents_blank = bound.is_true_or(2, false);
  MarkedText indent;
  std::string spaces;
  if (bound.has(0) && bound.at(0).is(Kind::kString)) {
    indent = bound.at(0).string();
  } else {
    const int64_t width = bound.integer_or(0, 4);
    if (width > kFormatWidthMax) fail_render("indent(): the width is too large");
    spaces.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
    indent = MarkedText(spaces, kComputed);
  }
  // A line end behind the text makes an empty last line of one that it already has.
  const MarkedText newline("\n", kComputed);
  const auto lines = split_lines(runtime, concatenate(runtime, to_text(runtime, input), newline), false);
  MarkedTextBuilder out(runtime.arena());
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append(newline);
    const bool is_indented = i == 0 ? bound.is_true_or(1, false) : indents_blank || !lines[i].empty();
    if (is_indented) out.append(indent);
    out.append(lines[i]);
  }
  return make_string(runtime, out.finish());
}

Value apply_center(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const int64_t width = BoundArguments("center", arguments, {"width"}).integer_or(0, 80);
  if (width > kFormatWidthMax) fail_render("center(): the width is too large");
  const MarkedText text = to_text(runtime, input);
  const int64_t padding = width - static_cast<int64_t>(count_characters(text.text()));
  if (padding <= 0) return make_string(runtime, text);
  // Python puts the odd space on the left when the width is odd.
  const int64_t left = padding / 2 + (padding & width & 1);
  MarkedTextBuilder out(runtime.arena());
  out.append(std::string(static_cast<size_t>(left), ' '), kComputed);
  out.append(text);
  out.append(std::string(static_cast<size_t>(padding - left), ' '), kComputed);
  return make_string(runtime, out.finish());
}

Value apply_truncate(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const int64_t length = bound.integer_or(0, 255);
  const MarkedText end = bound.has(2) ? bound.string_at(2) : MarkedText("...", kComputed);
  const auto end_length = static_cast<int64_t>(count_characters(end.text()));
  const int64_t leeway = bound.integer_or(3, 5);
  if (length < end_length || leeway < 0) fail_render("truncate(): the length is too small");
  const MarkedText text = to_text(runtime, input);
  const auto size = static_cast<int64_t>(count_characters(text.text()));
  if (size <= length || size - length <= leeway) return make_string(runtime, text);
  MarkedText kept = text.slice(0, offset_of_character(text.text(), static_cast<size_t>(length - end_length)));
  const size_t space = kept.text().rfind(' ');
  if (!bound.is_true_or(1, false) && space != std::string_view::npos) kept = kept.slice(0, space);
  return make_string(runtime, concatenate(runtime, kept, end));
}

Value apply_wordcount(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("wordcount", arguments, {});
  // As the reference: runs of letters, digits and underscores.
  const MarkedText text = to_text(runtime, input);
  runtime.charge(text.size() / 16);
  int64_t count = 0;
  bool is_inside = false;
  for (size_t offset = 0; offset < text.size();) {
    const Character character = character_at(text.text(), offset);
    const bool is_word = character.code == '_' || (character.code >= '0' && character.code <= '9') ||
                         !is_not_letter(character.code);
    count += is_word && !is_inside ? 1 : 0;
    is_inside = is_word;
    offset += character.byte_count;
  }
  return Value::integer(count);
}

Value apply_format(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty()) {
    std::vector<Entry> entries;
    for (const NamedValue& argument : arguments.named) {
      entries.push_back({make_string(runtime, MarkedText(argument.name, kComputed)), argument.value});
    }
    const Value map = make_map_value(runtime.arena(), entries);
    return make_string(runtime, format_percent(runtime, to_text(runtime, input), {&map, 1}));
  }
  return make_string(runtime, format_percent(runtime, to_text(runtime, input), arguments.positional));
}

Value apply_tojson(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.is_ascii = bound.is_true_or(0, false);
  style.sorts_keys = bound.is_true_or(3, false);
  if (bound.has(1) && !bound.at(1).is(Kind::kNone)) {
    style.indent = std::max<int64_t>(bound.integer_or(1, 0), 0);
    if (style.indent > kFormatWidthMax) fail_render("tojson(): the indent is too large");
    style.item_separator = ",";
  }
  if (bound.has(2) && !bound.at(2).is(Kind::kNone)) {
    const auto separators = items_of(runtime, bound.at(2));
    if (separators.size() != 2 || !separators[0].is(Kind::kString) || !separators[1].is(Kind::kString)) {
      fail_render("tojson(): separators must be two strings");
    }
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  return make_string(runtime, to_json(runtime, input, style));
}

Value apply_join(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"d", "attribute"});
  const MarkedText separator = bound.has(0) ? to_text(runtime, bound.at(0)) : MarkedText();
  auto items = items_of(runtime, input);
  Value mapped;
  if (bound.has(1) && !bound.at(1).is(Kind::kNone)) {
    mapped = map_to_attribute(runtime, items, bound.at(1), Value());
    items = mapped.items();
  }
  return make_string(runtime, join(runtime, items, separator));
}

constexpr NamedFilter kFilters[] = {
    {"capitalize", apply<capitalize>},
    {"center", apply_center},
    {"e", apply<escape_html>},
    {"escape", apply<escape_html>},
    {"format", apply_format},
    {"indent", apply_indent},
    {"join", apply_join},
    {"lower", apply<lower>},
    {"replace", apply_replace},
    {"safe", apply<as_string>},
    {"string", apply<as_string>},
    {"title", apply<title_case>},
    {"tojson", apply_tojson},
    {"trim", apply_trim},
    {"truncate", apply_truncate},
    {"upper", apply<upper>},
    {"wordcount", apply_wordcount},
};

}  // namespace

std::span<const NamedFilter> text_filters() {
  return kFilters;
}

}  // namespace beryl::text
