#include "text/grammar/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

constexpr uint32_t kIndentationMax = 64;
constexpr std::string_view kQuoteToken = "<|\"|>";

std::string json_escape(char32_t character) {
  switch (character) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", static_cast<uint32_t>(character));
  }
}

const CharSet& escaped_characters() {
  static const CharSet kSet = json_plain_characters().complement();
  return kSet;
}

// Of keys that need no quotes in tool arguments.
bool is_bare_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '$' || c == '/' || c == '@' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_bare(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_bare_character);
}

}  // namespace

NodeId Spelling::one_of(const CharSet& characters) {
  if (notation_ == Notation::kToolArguments) return grammar_.set(characters);
  const CharSet plain = characters.intersect(json_plain_characters());
  std::vector<NodeId> parts;
  if (!plain.empty()) parts.push_back(grammar_.set(plain));
  const CharSet escaped = characters.intersect(escaped_characters());
  for (const CharRange& range : escaped.ranges()) {
    for (char32_t character = range.first; character <= range.last; ++character) {
      parts.push_back(grammar_.literal(json_escape(character)));
    }
  }
  return grammar_.choice(parts);
}

NodeId Spelling::escape() {
  if (escape_) return *escape_;
  const NodeId hex = grammar_.set({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  const NodeId short_escape = grammar_.set(
      {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
  const NodeId below_d = grammar_.set({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}});
  const NodeId d = grammar_.set({{'D', 'D'}, {'d', 'd'}});
  const NodeId up_to_7 = grammar_.set({{'0', '7'}});
  const NodeId code = grammar_.choice(
      {grammar_.sequence({below_d, hex, hex, hex}), grammar_.sequence({d, up_to_7, hex, hex})});
  const NodeId body = grammar_.choice({short_escape, grammar_.sequence({grammar_.literal("u"), code})});
  const RuleId rule = grammar_.add_rule("an escape");
  grammar_.define(rule, grammar_.sequence({grammar_.literal("\\"), body}));
  escape_ = grammar_.rule(rule);
  return *escape_;
}

NodeId Spelling::any_character() {
  if (!any_character_) {
    any_character_ = notation_ == Notation::kToolArguments
                         ? grammar_.set(CharSet::all())
                         : grammar_.choice({grammar_.set(json_plain_characters()), escape()});
  }
  return *any_character_;
}

NodeId Spelling::quoted(NodeId content) {
  const NodeId quote =
      notation_ == Notation::kToolArguments ? grammar_.token(kQuoteToken) : grammar_.literal("\"");
  return grammar_.sequence({quote, content, quote});
}

NodeId Spelling::any_string() {
  return quoted(grammar_.repeat(any_character(), 0, kUnlimited));
}

NodeId Spelling::text(std::string_view text) {
  if (notation_ == Notation::kToolArguments) return quoted(grammar_.literal(text));
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = read_utf8(text, at);
    if (json_plain_characters().contains(character.value)) {
      escaped += text.substr(at, character.byte_count);
    } else {
      escaped += json_escape(character.value);
    }
    at += character.byte_count;
  }
  return grammar_.literal("\"" + escaped + "\"");
}

NodeId Spelling::key(std::string_view name) {
  const bool needs_no_quotes = notation_ == Notation::kToolArguments && is_bare(name);
  return grammar_.sequence({needs_no_quotes ? grammar_.literal(name) : text(name), colon()});
}

NodeId Spelling::key_of(NodeId content) {
  return grammar_.sequence({notation_ == Notation::kToolArguments ? content : quoted(content), colon()});
}

CharSet Spelling::key_first() const {
  if (notation_ == Notation::kJson) return CharSet::all();
  return {{'a', 'z'}, {'A', 'Z'}, {'_', '_'}};
}

CharSet Spelling::key_rest() const {
  if (notation_ == Notation::kJson) return CharSet::all();
  return {{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}, {'-', '-'}, {'.', '.'}};
}

NodeId Spelling::gap() {
  if (!gap_) {
    if (notation_ == Notation::kToolArguments) {
      gap_ = grammar_.empty();
    } else {
      const NodeId blank = grammar_.set({{' ', ' '}, {'\t', '\t'}});
      const NodeId new_line =
          grammar_.sequence({grammar_.literal("\n"), grammar_.repeat(blank, 0, kIndentationMax)});
      gap_ = grammar_.choice({grammar_.empty(), grammar_.literal(" "), new_line});
    }
  }
  return *gap_;
}

NodeId Spelling::colon() {
  if (notation_ == Notation::kToolArguments) return grammar_.literal(":");
  return grammar_.sequence({grammar_.literal(":"), grammar_.optional(grammar_.literal(" "))});
}

NodeId Spelling::comma() {
  return grammar_.sequence({grammar_.literal(","), gap()});
}

}  // namespace beryl::text::grammar
