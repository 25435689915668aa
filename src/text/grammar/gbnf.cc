#include "text/grammar/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  GbnfParser(Grammar& grammar, std::string_view text) : grammar_(grammar), text_(text) {}

  void parse() {
    if (const auto offset = find_invalid_utf8(text_)) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("the grammar is not valid UTF-8 at byte {}", *offset));
    }
    skip_space();
    while (at_ < text_.size()) parse_rule();
    for (const auto& [name, rule] : rules_) {
      if (rule.is_defined) continue;
      at_ = rule.first_use;
      fail(ErrorCode::kInvalidInput, fmt::format("rule {} is used but not defined", quote(name)));
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) throw Error(ErrorCode::kInvalidInput, "the grammar has no rule 'root'");
    grammar_.set_root(grammar_.rule(root->second.id));
  }

 private:
  struct NamedRule {
    RuleId id = 0;
    bool is_defined = false;
    size_t first_use = 0;
  };
  // The alternatives so far, and the parts of the one being read.
  struct Group {
    std::vector<NodeId> alternatives = {};
    std::vector<NodeId> parts = {};
  };

  [[noreturn]] void fail(ErrorCode code, std::string_view message) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    const size_t column = newline == std::string_view::npos ? at_ + 1 : at_ - newline;
    throw Error(code, fmt::format("grammar, line {}, column {}: {}", line, column, message));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool consume(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        ++at_;
      } else {
        return;
      }
    }
  }
  std::string_view take_name() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  NamedRule& rule_named(std::string_view name, size_t use) {
    const auto [entry, is_new] = rules_.try_emplace(std::string(name));
    if (is_new) entry->second = {.id = grammar_.add_rule(name), .is_defined = false, .first_use = use};
    return entry->second;
  }

  // A name and "::=" come next.
  bool at_rule_start() {
    const size_t before = at_;
    const bool has_name = !take_name().empty();
    skip_space();
    const bool result = has_name && text_.substr(at_).starts_with("::=");
    at_ = before;
    return result;
  }

  void parse_rule() {
    const size_t begin = at_;
    if (!at_rule_start()) fail(ErrorCode::kInvalidInput, "expected a rule: a name and '::='");
    NamedRule& rule = rule_named(take_name(), begin);
    if (rule.is_defined) {
      at_ = begin;
      fail(ErrorCode::kInvalidInput, "the rule is defined twice");
    }
    rule.is_defined = true;
    skip_space();
    at_ += 3;
    groups_.assign(1, {});
    skip_space();
    while (at_ < text_.size() && !(groups_.size() == 1 && is_name_character(peek()) && at_rule_start())) {
      parse_element();
      skip_space();
    }
    if (groups_.size() > 1) fail(ErrorCode::kInvalidInput, "')' is missing");
    grammar_.define(rule.id, finish_group());
  }

  NodeId finish_group() {
    Group group = std::move(groups_.back());
    groups_.pop_back();
    group.alternatives.push_back(grammar_.sequence(group.parts));
    return grammar_.choice(group.alternatives);
  }

  void parse_element() {
    const size_t begin = at_;
    if (is_name_character(peek())) {
      return add(grammar_.rule(rule_named(take_name(), begin).id));
    }
    const char c = text_[at_++];
    switch (c) {
      case '|': {
        Group& group = groups_.back();
        group.alternatives.push_back(grammar_.sequence(group.parts));
        group.parts.clear();
        return;
      }
      case '(':
        groups_.emplace_back();
        return;
      case ')':
        if (groups_.size() == 1) fail(ErrorCode::kInvalidInput, "')' without '(' before it");
        return add(finish_group());
      case '"':
        return add(parse_literal());
      case '[':
        return add(parse_class());
      case '.':
        return add(grammar_.set(CharSet::all()));
      case '<':
        fail(ErrorCode::kUnsupported, "tokens in angle brackets are not supported");
      default:
        --at_;
        fail(ErrorCode::kInvalidInput, fmt::format("unexpected {}", quote(text_.substr(at_, 1))));
    }
  }

  NodeId parse_literal() {
    std::string bytes;
    while (!consume('"')) append_utf8(bytes, take_character());
    return grammar_.literal(bytes);
  }

  NodeId parse_class() {
    const bool is_complement = consume('^');
    CharSet set;
    while (!consume(']')) {
      grammar_.budget().check_time();
      const char32_t first = take_character();
      char32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = take_character();
      }
      if (last < first) fail(ErrorCode::kInvalidInput, "a range runs backwards");
      set.add(first, last);
    }
    return grammar_.set(is_complement ? set.complement() : set);
  }

  // One character of a literal or class, perhaps escaped.
  char32_t take_character() {
    if (at_ == text_.size()) fail(ErrorCode::kInvalidInput, "a literal or class does not end");
    const Utf8Character character = read_utf8(text_, at_);
    at_ += character.byte_count;
    if (character.value != '\\') return character.value;
    if (at_ == text_.size()) fail(ErrorCode::kInvalidInput, "an escape does not end");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'x':
        return take_hex(2);
      case 'u':
        return take_hex(4);
      case 'U':
        return take_hex(8);
      case '"':
      case '\\':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      default:
        fail(ErrorCode::kInvalidInput, fmt::format("unknown escape {}", quote(text_.substr(at_ - 2, 2))));
    }
  }

  char32_t take_hex(size_t digits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uint64_t>(c - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        value = value * 16 + static_cast<uint64_t>(lower - 'a' + 10);
      } else {
        fail(ErrorCode::kInvalidInput, "expected a hexadecimal digit");
      }
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail(ErrorCode::kInvalidInput, "the escape is no Unicode character");
    }
    return static_cast<char32_t>(value);
  }

  // Adds a part with the quantifiers that follow it.
  void add(NodeId node) {
    for (;;) {
      const size_t before = at_;
      skip_space();
      if (consume('*')) {
        node = grammar_.repeat(node, 0, kUnlimited);
      } else if (consume('+')) {
        node = grammar_.repeat(node, 1, kUnlimited);
      } else if (consume('?')) {
        node = grammar_.optional(node);
      } else if (consume('{')) {
        node = parse_bounds(node);
      } else {
        at_ = before;
        break;
      }
    }
    groups_.back().parts.push_back(node);
  }

  NodeId parse_bounds(NodeId node) {
    skip_space();
    const std::optional<uint32_t> min = take_number();
    skip_space();
    std::optional<uint32_t> max = min;
    if (consume(',')) {
      skip_space();
      max = take_number();
      if (!max) max = kUnlimited;
      skip_space();
    }
    if ((!min && max == min) || !consume('}'))
      fail(ErrorCode::kInvalidInput, "expected {m}, {m,}, {,n} or {m,n}");
    if (min.value_or(0) > *max)
      fail(ErrorCode::kInvalidInput, "the repetition's bounds are the wrong way round");
    return grammar_.repeat(node, min.value_or(0), *max);
  }

  std::optional<uint32_t> take_number() {
    std::optional<uint32_t> number;
    while (peek() >= '0' && peek() <= '9') {
      const uint64_t next = uint64_t{number.value_or(0)} * 10 + static_cast<uint64_t>(peek() - '0');
      if (next >= (uint64_t{1} << 31)) fail(ErrorCode::kInvalidInput, "the number is too large");
      number = static_cast<uint32_t>(next);
      ++at_;
    }
    return number;
  }

  Grammar& grammar_;
  std::string_view text_;
  size_t at_ = 0;
  std::map<std::string, NamedRule, std::less<>> rules_;
  std::vector<Group> groups_;  // the open ones, the rule first
};

}  // namespace

void parse_gbnf(Grammar& grammar, std::string_view text) {
  grammar.budget().add_text(text.size());
  GbnfParser(grammar, text).parse();
}

}  // namespace beryl::text::grammar
