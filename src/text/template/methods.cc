#include "text/template/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "text/template/arguments.h"
#include "text/template/filters.h"
#include "text/template/format.h"
#include "text/template/text_operations.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

using MethodFunction = Value (*)(Runtime& runtime, const Value& owner, const Arguments& arguments);

struct NamedMethod {
  std::string_view name;
  MethodFunction call;
};

Value make_string(Runtime& runtime, const MarkedText& text) {
  return Value::string(runtime.arena(), text);
}

template <Side side>
Value call_strip(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("strip", arguments, {"chars"});
  const bool has_characters = bound.has(0) && !bound.at(0).is(Kind::kNone);
  std::optional<std::string_view> characters;
  if (has_characters) {
    characters = bound.string_at(0).text();
    charge_search(runtime, owner.text().size(), characters->size());
  }
  return make_string(runtime, strip(owner.string(), characters, side));
}

template <Side side>
Value call_split(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("split", arguments, {"sep", "maxsplit"});
  const int64_t splits_max = bound.integer_or(1, -1);
  if (!bound.has(0) || bound.at(0).is(Kind::kNone)) {
    return make_strings(runtime, split_at_space(runtime, owner.string(), splits_max, side));
  }
  const std::string_view separator = bound.string_at(0).text();
  if (separator.empty()) fail_render("empty separator");
  return make_strings(runtime, split(runtime, owner.string(), separator, splits_max, side));
}

Value call_splitlines(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("splitlines", arguments, {"keepends"});
  return make_strings(runtime, split_lines(runtime, owner.string(), bound.is_true_or(0, false)));
}

template <bool (*has_affix)(std::string_view text, std::string_view affix)>
Value call_affix(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("startswith", arguments, {"prefix", "start", "end"}, 1);
  const MarkedText part =
      bound.has(1) ? slice(runtime, owner.string(), bound.at(1), bound.at(2), 1) : owner.string();
  if (!bound.at(0).is(Kind::kTuple)) return Value::boolean(has_affix(part.text(), bound.string_at(0).text()));
  const auto affixes = bound.at(0).items();
  runtime.charge(affixes.size());
  return Value::boolean(std::any_of(affixes.begin(), affixes.end(), [&](const Value& affix) {
    if (!affix.is(Kind::kString)) fail_render("a tuple for startswith or endswith must hold strings");
    return has_affix(part.text(), affix.text());
  }));
}

bool has_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix);
}

bool has_suffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix);
}

Value call_removeprefix(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const std::string_view prefix =
      BoundArguments("removeprefix", arguments, {"prefix"}, 1).string_at(0).text();
  if (!owner.text().starts_with(prefix)) return owner;
  return make_string(runtime, owner.string().slice(prefix.size(), owner.text().size()));
}

Value call_removesuffix(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const std::string_view suffix =
      BoundArguments("removesuffix", arguments, {"suffix"}, 1).string_at(0).text();
  if (!owner.text().ends_with(suffix)) return owner;
  return make_string(runtime, owner.string().slice(0, owner.text().size() - suffix.size()));
}

template <MarkedText (*convert)(Runtime& runtime, const MarkedText& text)>
Value call_convert(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("upper", arguments, {});
  return make_string(runtime, convert(runtime, owner.string()));
}

MarkedText title_of_words(Runtime& runtime, const MarkedText& text) {
  return title(runtime, text, is_not_letter);
}

Value call_replace(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
  return make_string(runtime, replace(runtime, owner.string(), bound.string_at(0).text(), bound.string_at(1),
                                      bound.integer_or(2, -1)));
}

// Index in characters of the first or last occurrence, or nothing.
std::optional<int64_t> index_of(Runtime& runtime, const Value& owner, std::string_view part, Side side) {
  charge_search(runtime, owner.text().size(), part.size());
  const size_t found = side == Side::kLeft ? owner.text().find(part) : owner.text().rfind(part);
  if (found == std::string_view::npos) return std::nullopt;
  return static_cast<int64_t>(count_characters(owner.text().substr(0, found)));
}

template <Side side>
Value call_find(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("find", arguments, {"sub"}, 1);
  return Value::integer(index_of(runtime, owner, bound.string_at(0).text(), side).value_or(-1));
}

template <Side side>
Value call_string_index(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("index", arguments, {"sub"}, 1);
  const auto index = index_of(runtime, owner, bound.string_at(0).text(), side);
  if (!index) fail_render("substring not found");
  return Value::integer(*index);
}

Value call_string_count(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const std::string_view part = BoundArguments("count", arguments, {"sub"}, 1).string_at(0).text();
  if (part.empty()) return Value::integer(static_cast<int64_t>(count_characters(owner.text())) + 1);
  charge_search(runtime, owner.text().size(), part.size());
  int64_t count = 0;
  for (size_t at = owner.text().find(part); at != std::string_view::npos;
       at = owner.text().find(part, at + part.size())) {
    ++count;
  }
  return Value::integer(count);
}

Value call_join(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"iterable"}, 1);
  const auto items = items_of(runtime, bound.at(0));
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::kString)) {
      fail_render(fmt::format("sequence item {}: expected str instance, {} found", i, type_name(items[i])));
    }
  }
  return make_string(runtime, join(runtime, items, owner.string()));
}

Value call_format(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  return make_string(runtime, format_braces(runtime, owner.string(), arguments));
}

// str.isdigit and its kin: at least one character, and all of them pass.
template <bool (*test)(uint32_t code)>
Value call_is(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("isdigit", arguments, {});
  const std::string_view text = owner.text();
  runtime.charge(text.size() / 16);
  for (size_t offset = 0; offset < text.size();) {
    const Character character = character_at(text, offset);
    if (!test(character.code)) return Value::boolean(false);
    offset += character.byte_count;
  }
  return Value::boolean(!text.empty());
}

bool is_ascii_digit(uint32_t code) {
  return code >= '0' && code <= '9';
}

bool is_letter(uint32_t code) {
  return !is_not_letter(code);
}

bool is_letter_or_digit(uint32_t code) {
  return is_letter(code) || is_ascii_digit(code);
}

template <bool wants_upper>
Value call_is_case(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("isupper", arguments, {});
  runtime.charge(owner.text().size() / 16);
  const std::string upper_text = to_upper(owner.text());
  const std::string lower_text = to_lower(owner.text());
  return Value::boolean(owner.text() == (wants_upper ? upper_text : lower_text) && upper_text != lower_text);
}

Value call_keys(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("keys", arguments, {});
  return make_list_value(runtime.arena(), items_of(runtime, owner));
}

Value call_values(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("values", arguments, {});
  std::vector<Value> values;
  runtime.charge(owner.entries().size());
  for (const Entry& entry : owner.entries()) values.push_back(entry.value);
  return make_list_value(runtime.arena(), values);
}

Value call_items(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("items", arguments, {});
  return make_pairs(runtime, owner.entries());
}

Value call_get(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("get", arguments, {"key", "default"}, 1);
  const Value* const found = find_in_map(runtime, owner, bound.at(0));
  if (found != nullptr) return *found;
  return bound.has(1) ? bound.at(1) : Value::none();
}

Value call_copy(Runtime&, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("copy", arguments, {});
  return owner;
}

Value call_list_index(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("index", arguments, {"value"}, 1);
  const auto items = owner.items();
  for (size_t i = 0; i < items.size(); ++i) {
    if (equals(runtime, items[i], bound.at(0))) return Value::integer(static_cast<int64_t>(i));
  }
  fail_render("the value is not in the list");
}

Value call_list_count(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"value"}, 1);
  const auto items = owner.items();
  const auto count = std::count_if(items.begin(), items.end(),
                                   [&](const Value& item) { return equals(runtime, item, bound.at(0)); });
  return Value::integer(count);
}

Value call_cycle(Runtime&, const Value& owner, const Arguments& arguments) {
  const auto count = static_cast<int64_t>(arguments.positional.size());
  if (count == 0) fail_render("no items for cycling given");
  return arguments.positional[static_cast<size_t>(owner.loop().index0 % count)];
}

Value call_changed(Runtime& runtime, const Value& owner, const Arguments& arguments) {
  const Value now = make_tuple_value(runtime.arena(), arguments.positional);
  Loop& loop = owner.loop();
  const bool is_same = loop.last_changed != nullptr && equals(runtime, Value::tuple(loop.last_changed), now);
  const auto items = now.items();
  loop.last_changed = runtime.arena().make(List{items.data(), items.size(), now.depth()});
  return Value::boolean(!is_same);
}

constexpr NamedMethod kStringMethods[] = {
    {"capitalize", call_convert<capitalize>},
    {"count", call_string_count},
    {"endswith", call_affix<has_suffix>},
    {"find", call_find<Side::kLeft>},
    {"format", call_format},
    {"index", call_string_index<Side::kLeft>},
    {"isalnum", call_is<is_letter_or_digit>},
    {"isalpha", call_is<is_letter>},
    {"isdecimal", call_is<is_ascii_digit>},
    {"isdigit", call_is<is_ascii_digit>},
    {"islower", call_is_case<false>},
    {"isnumeric", call_is<is_ascii_digit>},
    {"isspace", call_is<is_white_space>},
    {"isupper", call_is_case<true>},
    {"join", call_join},
    {"lower", call_convert<lower>},
    {"lstrip", call_strip<Side::kLeft>},
    {"removeprefix", call_removeprefix},
    {"removesuffix", call_removesuffix},
    {"replace", call_replace},
    {"rfind", call_find<Side::kRight>},
    {"rindex", call_string_index<Side::kRight>},
    {"rsplit", call_split<Side::kRight>},
    {"rstrip", call_strip<Side::kRight>},
    {"split", call_split<Side::kLeft>},
    {"splitlines", call_splitlines},
    {"startswith", call_affix<has_prefix>},
    {"strip", call_strip<Side::kBoth>},
    {"title", call_convert<title_of_words>},
    {"upper", call_convert<upper>},
};

constexpr NamedMethod kMapMethods[] = {
    {"copy", call_copy}, {"get", call_get},       {"items", call_items},
    {"keys", call_keys}, {"values", call_values},
};

constexpr NamedMethod kListMethods[] = {
    {"copy", call_copy},
    {"count", call_list_count},
    {"index", call_list_index},
};

constexpr NamedMethod kLoopMethods[] = {
    {"changed", call_changed},
    {"cycle", call_cycle},
};

std::span<const NamedMethod> methods_of(const Value& owner) {
  switch (owner.kind()) {
    case Kind::kString:
      return kStringMethods;
    case Kind::kMap:
      return kMapMethods;
    case Kind::kList:
      return kListMethods;
    case Kind::kTuple:
      return std::span(kListMethods).subspan(1);
    case Kind::kLoop:
      return kLoopMethods;
    default:
      return {};
  }
}

}  // namespace

std::optional<Method> find_method(const Value& owner, std::string_view name) {
  const auto methods = methods_of(owner);
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [name](const NamedMethod& entry) { return entry.name == name; });
  if (found == methods.end()) return std::nullopt;
  return Method{owner, found->name, found->call};
}

}  // namespace beryl::text
