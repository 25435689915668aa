// Strings, numbers and arrays of a schema.

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "text/grammar/number_range.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_compiler.h"
#include "text/grammar/string_formats.h"

namespace beryl::text::grammar {
namespace {

// A bound in either of its spellings: a number of its own, or a mark on the other bound as in draft 4.
void read_bound(const Schema& schema, std::string_view inclusive, std::string_view exclusive, bool is_min,
                NumberBounds& bounds, std::string_view pointer) {
  std::optional<Decimal>& bound = is_min ? bounds.min : bounds.max;
  bool& excludes = is_min ? bounds.excludes_min : bounds.excludes_max;
  const auto read = [&](const Schema& value, std::string_view keyword) {
    if (!value.is_number())
      fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("'{}' is not a number", keyword));
    return with_context(fmt::format("schema at '{}'", pointer), [&] { return parse_decimal(value.dump()); });
  };
  if (const Schema* value = find_keyword(schema, inclusive)) bound = read(*value, inclusive);
  const Schema* value = find_keyword(schema, exclusive);
  if (value == nullptr) return;
  if (value->is_boolean()) {
    excludes = value->get<bool>();
    return;
  }
  const Decimal other = read(*value, exclusive);
  const int order = bound ? compare(other, *bound) : 0;
  if (!bound || order == 0 || (order > 0) == is_min) {
    bound = other;
    excludes = true;
  }
}

// What the formats of integers in OpenAPI add to the bounds.
void read_integer_format(const Schema& schema, NumberBounds& bounds, std::string_view pointer) {
  const Schema* format = find_keyword(schema, "format");
  if (format == nullptr) return;
  const auto narrow = [&](std::string_view min, std::string_view max) {
    const Decimal low = parse_decimal(min);
    const Decimal high = parse_decimal(max);
    if (!bounds.min || compare(low, *bounds.min) > 0)
      std::tie(bounds.min, bounds.excludes_min) = std::pair(low, false);
    if (!bounds.max || compare(high, *bounds.max) < 0)
      std::tie(bounds.max, bounds.excludes_max) = std::pair(high, false);
  };
  if (*format == Schema("int32")) return narrow("-2147483648", "2147483647");
  if (*format == Schema("int64")) return narrow("-9223372036854775808", "9223372036854775807");
  if (*format == Schema("uint32")) return narrow("0", "4294967295");
  if (*format == Schema("uint64")) return narrow("0", "18446744073709551615");
  if (*format == Schema("float") || *format == Schema("double")) return;
  fail_at(ErrorCode::kUnsupported, pointer,
          fmt::format("format {} of a number is not supported", format->dump()));
}

}  // namespace

NodeId compile_string_content(SchemaCompiler& compiler, const Schema& schema, std::string_view pointer) {
  Grammar& grammar = compiler.grammar();
  const uint32_t min = find_count(schema, "minLength", pointer).value_or(0);
  const uint32_t max = find_count(schema, "maxLength", pointer).value_or(kUnlimited);
  const Schema* pattern = find_keyword(schema, "pattern");
  const Schema* format = find_keyword(schema, "format");
  for (const Schema* text : {pattern, format}) {
    if (text != nullptr && !text->is_string()) {
      fail_at(ErrorCode::kInvalidInput, pointer, "'pattern' or 'format' is not a string");
    }
  }
  std::string_view expression;
  if (format != nullptr && !is_format_without_form(format->get_ref<const std::string&>())) {
    const auto found = find_format_pattern(format->get_ref<const std::string&>());
    if (!found)
      fail_at(ErrorCode::kUnsupported, pointer, fmt::format("format {} is not supported", format->dump()));
    if (pattern != nullptr)
      fail_at(ErrorCode::kUnsupported, pointer, "'pattern' beside 'format' is not supported");
    expression = *found;
  } else if (pattern != nullptr) {
    expression = pattern->get_ref<const std::string&>();
  } else {
    return min > max ? grammar.nothing() : grammar.repeat(compiler.spelling().any_character(), min, max);
  }
  const RegexOptions options{.matches_whole = pattern == nullptr, .length_min = min, .length_max = max};
  const CharacterSpelling spell = [&](const CharSet& set) { return compiler.spelling().one_of(set); };
  return with_context(fmt::format("schema at '{}'", pointer),
                      [&] { return parse_regex(grammar, expression, options, spell); });
}

NodeId compile_string(SchemaCompiler& compiler, const Schema& schema, std::string_view pointer) {
  return compiler.spelling().quoted(compile_string_content(compiler, schema, pointer));
}

NodeId compile_number(SchemaCompiler& compiler, const Schema& schema, bool is_integer,
                      std::string_view pointer) {
  NumberBounds bounds;
  read_bound(schema, "minimum", "exclusiveMinimum", true, bounds, pointer);
  read_bound(schema, "maximum", "exclusiveMaximum", false, bounds, pointer);
  read_integer_format(schema, bounds, pointer);
  if (const Schema* multiple = find_keyword(schema, "multipleOf")) {
    if (!multiple->is_number() || multiple->get<double>() != 1) {
      fail_at(ErrorCode::kUnsupported, pointer, "'multipleOf' other than 1 is not supported");
    }
    is_integer = true;
  }
  return is_integer ? integer_between(compiler.grammar(), bounds)
                    : number_between(compiler.grammar(), bounds);
}

NodeId array_of(SchemaCompiler& compiler, NodeId item, uint32_t min, uint32_t max) {
  Grammar& grammar = compiler.grammar();
  Spelling& spelling = compiler.spelling();
  NodeId content = grammar.empty();
  if (min > max) return grammar.nothing();
  if (max > 0) {
    const NodeId next = grammar.sequence({spelling.comma(), item});
    const NodeId rest = grammar.repeat(next, std::max(min, 1U) - 1, max == kUnlimited ? max : max - 1);
    content = grammar.sequence({item, rest});
    if (min == 0) content = grammar.optional(content);
  }
  return grammar.sequence(
      {grammar.literal("["), spelling.gap(), content, spelling.gap(), grammar.literal("]")});
}

NodeId compile_array(SchemaCompiler& compiler, const Schema& schema, const std::string& pointer) {
  Grammar& grammar = compiler.grammar();
  Spelling& spelling = compiler.spelling();
  const uint32_t min = find_count(schema, "minItems", pointer).value_or(0);
  const uint32_t max = find_count(schema, "maxItems", pointer).value_or(kUnlimited);
  if (const Schema* unique = find_keyword(schema, "uniqueItems");
      unique != nullptr && *unique != Schema(false)) {
    fail_at(ErrorCode::kUnsupported, pointer, "'uniqueItems' is not supported");
  }
  // `items` may be a list, as prefixItems was called in older drafts.
  const Schema* items = find_keyword(schema, "items");
  const bool has_list = items != nullptr && items->is_array();
  const std::string_view prefix_name = has_list ? "items" : "prefixItems";
  const Schema* prefix = find_array(schema, prefix_name, pointer);
  const Schema* others = has_list ? find_keyword(schema, "additionalItems") : items;
  if (prefix == nullptr) {
    const bool is_anything = others == nullptr;
    const NodeId item =
        is_anything ? compiler.any_value() : compiler.values_of(*others, join_pointer(pointer, "items"));
    // The array without items remains when no item is possible.
    return array_of(compiler, item, min, others != nullptr && *others == Schema(false) ? 0 : max);
  }
  // From the last item to the first: each with all that may follow it.
  const auto fixed = static_cast<uint32_t>(std::min<size_t>(prefix->size(), max));
  NodeId rest = grammar.empty();
  if (others != nullptr && *others != Schema(false) && max > fixed) {
    const NodeId item = compiler.values_of(*others, join_pointer(pointer, "items"));
    rest = grammar.repeat(grammar.sequence({spelling.comma(), item}), min > fixed ? min - fixed : 0,
                          max == kUnlimited ? max : max - fixed);
  } else if (min > fixed) {
    return grammar.nothing();
  }
  for (uint32_t i = fixed; i-- > 0;) {
    const std::string place = join_pointer(join_pointer(pointer, prefix_name), std::to_string(i));
    const NodeId item = compiler.values_of((*prefix)[i], place);
    rest = i == 0 ? grammar.sequence({item, rest}) : grammar.sequence({spelling.comma(), item, rest});
    if (i >= min) rest = grammar.optional(rest);
  }
  return grammar.sequence({grammar.literal("["), spelling.gap(), rest, spelling.gap(), grammar.literal("]")});
}

}  // namespace beryl::text::grammar
