#include "text/grammar/regex.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/regex_scanner.h"

namespace beryl::text::grammar {
namespace {

// Lengths in characters; sums and products stop at the largest.
using Length = uint64_t;
constexpr Length kEndless = std::numeric_limits<Length>::max();

Length plus(Length a, Length b) {
  return a > kEndless - b ? kEndless : a + b;
}
Length times(Length a, Length b) {
  if (a == 0 || b == 0) return 0;
  return a > kEndless / b ? kEndless : a * b;
}
Length as_length(uint32_t count) {
  return count == kUnlimited ? kEndless : count;
}

// A part of the expression and how long its texts are.
struct Piece {
  NodeId node = 0;
  Length min = 0;
  Length max = 0;
  // Set when the part is `min` to `max` of this one-character part: it can be made to keep other bounds.
  std::optional<NodeId> character = {};
};

struct Alternative {
  std::vector<Piece> pieces;
  bool begins_text = false;  // with ^
  bool ends_text = false;    // with $
};

class RegexParser {
 public:
  RegexParser(Grammar& grammar, std::string_view pattern, const RegexOptions& options,
              const CharacterSpelling& spell)
      : grammar_(grammar), scanner_(pattern, grammar.budget()), options_(options), spell_(spell) {}

  NodeId parse() {
    groups_.emplace_back(1);
    while (!scanner_.at_end()) parse_next();
    if (groups_.size() > 1) scanner_.fail(ErrorCode::kInvalidInput, "')' is missing");
    std::vector<NodeId> nodes;
    for (Alternative& alternative : groups_.back()) nodes.push_back(finish(std::move(alternative)));
    return grammar_.choice(nodes);
  }

 private:
  using Group = std::vector<Alternative>;

  Alternative& current() { return groups_.back().back(); }

  void parse_next() {
    const char32_t c = scanner_.take();
    if (current().ends_text && c != '|')
      scanner_.fail(ErrorCode::kUnsupported, "'$' before the end is not supported");
    switch (c) {
      case '|':
        groups_.back().emplace_back();
        return;
      case '(':
        return open_group();
      case ')':
        return close_group();
      case '^':
        if (groups_.size() > 1 || !current().pieces.empty() || current().begins_text) {
          scanner_.fail(ErrorCode::kUnsupported, "'^' is supported at the beginning only; before it");
        }
        current().begins_text = true;
        return;
      case '$':
        if (groups_.size() > 1) {
          scanner_.fail(ErrorCode::kUnsupported, "'$' is supported outside of groups only; before it");
        }
        current().ends_text = true;
        return;
      case '.':
        return add_set(CharSet{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}, {0x85, 0x85}}.complement());
      case '[':
        return add_set(scanner_.take_class());
      case '\\':
        return add_set(scanner_.take_escape());
      case '*':
      case '+':
      case '?':
        scanner_.fail(ErrorCode::kInvalidInput, "there is nothing to repeat");
      case '{':
        if (is_repetition()) scanner_.fail(ErrorCode::kInvalidInput, "there is nothing to repeat");
        return add_set({{c, c}});
      default:
        return add_set({{c, c}});
    }
  }

  void add_set(const CharSet& set) {
    const NodeId node = spell_(set);
    add({.node = node, .min = 1, .max = 1, .character = node});
  }

  void open_group() {
    if (scanner_.consume('?')) {
      const bool is_named = scanner_.consume_text("P<") || scanner_.consume('<');
      if (is_named) {
        if (scanner_.peek() == '=' || scanner_.peek() == '!') {
          scanner_.fail(ErrorCode::kUnsupported, "look-behind is not supported");
        }
        while (scanner_.take() != '>') {
        }
      } else if (scanner_.peek() == '=' || scanner_.peek() == '!') {
        scanner_.fail(ErrorCode::kUnsupported, "look-ahead is not supported");
      } else if (!scanner_.consume(':')) {
        scanner_.fail(ErrorCode::kUnsupported, "this kind of group is not supported");
      }
    }
    groups_.emplace_back(1);
  }

  void close_group() {
    if (groups_.size() == 1) scanner_.fail(ErrorCode::kInvalidInput, "')' without '(' before it");
    Group group = std::move(groups_.back());
    groups_.pop_back();
    Piece piece = joined(group[0].pieces);
    if (group.size() > 1) {
      std::vector<NodeId> nodes;
      piece.min = kEndless;
      piece.max = 0;
      for (const Alternative& alternative : group) {
        const Piece part = joined(alternative.pieces);
        nodes.push_back(part.node);
        piece.min = std::min(piece.min, part.min);
        piece.max = std::max(piece.max, part.max);
      }
      piece.node = grammar_.choice(nodes);
      // One character or another is one character.
      piece.character = piece.min == 1 && piece.max == 1 ? std::optional(piece.node) : std::nullopt;
    }
    add(piece);
  }

  Piece joined(const std::vector<Piece>& pieces) {
    if (pieces.size() == 1) return pieces[0];
    Piece result;
    std::vector<NodeId> nodes;
    for (const Piece& piece : pieces) {
      nodes.push_back(piece.node);
      result.min = plus(result.min, piece.min);
      result.max = plus(result.max, piece.max);
    }
    result.node = grammar_.sequence(nodes);
    return result;
  }

  // A quantifier comes next, and is taken with `min` and `max`.
  bool take_quantifier(uint32_t& min, uint32_t& max) {
    min = 0;
    max = kUnlimited;
    if (scanner_.consume('*')) return true;
    if (scanner_.consume('+')) {
      min = 1;
      return true;
    }
    if (scanner_.consume('?')) {
      max = 1;
      return true;
    }
    const size_t before = scanner_.position();
    if (!scanner_.consume('{')) return false;
    const std::optional<uint32_t> first = scanner_.take_number();
    if (first && scanner_.consume('}')) {
      min = max = *first;
      return true;
    }
    const bool has_comma = scanner_.consume(',');
    const std::optional<uint32_t> second = scanner_.take_number();
    // "{" that begins no quantifier is that character. "{,3}" is one in Python alone.
    if (!has_comma || !scanner_.consume('}') || (!first && !second)) {
      scanner_.rewind(before);
      return false;
    }
    if (!first)
      scanner_.fail(ErrorCode::kUnsupported, "dialects differ about '{,n}': write '{0,n}'; before it");
    min = *first;
    if (second) max = *second;
    return true;
  }

  // After "{": whether it begins a quantifier.
  bool is_repetition() {
    scanner_.rewind(scanner_.position() - 1);
    uint32_t min = 0;
    uint32_t max = 0;
    if (take_quantifier(min, max)) return true;
    scanner_.consume('{');
    return false;
  }

  void add(Piece piece) {
    uint32_t min = 0;
    uint32_t max = 0;
    if (take_quantifier(min, max)) {
      if (scanner_.consume('+'))
        scanner_.fail(ErrorCode::kUnsupported, "possessive repetition is not supported");
      scanner_.consume('?');  // lazy: the same texts
      if (scanner_.peek() == '*' || scanner_.peek() == '+' || scanner_.peek() == '?') {
        scanner_.fail(ErrorCode::kInvalidInput, "repetitions follow each other");
      }
      if (min > max)
        scanner_.fail(ErrorCode::kInvalidInput, "a repetition's bounds are the wrong way round before this");
      const bool is_character = piece.character && piece.min == 1 && piece.max == 1;
      piece.node = grammar_.repeat(piece.node, min, max);
      piece.min = times(piece.min, min);
      piece.max = times(piece.max, as_length(max));
      if (!is_character) piece.character.reset();
    }
    current().pieces.push_back(piece);
  }

  // A whole alternative: completed for a search, and fitted to the bounds.
  NodeId finish(Alternative alternative) {
    std::vector<Piece>& pieces = alternative.pieces;
    if (!options_.matches_whole) {
      const NodeId any = spell_(CharSet::all());
      const Piece anything{grammar_.repeat(any, 0, kUnlimited), 0, kEndless, any};
      if (!alternative.begins_text) pieces.insert(pieces.begin(), anything);
      if (!alternative.ends_text) pieces.push_back(anything);
    }
    const Length wanted_min = options_.length_min;
    const Length wanted_max = as_length(options_.length_max);
    const Piece whole = joined(pieces);
    if (whole.min >= wanted_min && whole.max <= wanted_max) return whole.node;
    if (whole.max < wanted_min || whole.min > wanted_max) return grammar_.nothing();
    const auto varies = [](const Piece& piece) { return piece.min != piece.max; };
    const auto varying = std::find_if(pieces.begin(), pieces.end(), varies);
    if (std::count_if(pieces.begin(), pieces.end(), varies) != 1 || !varying->character) {
      scanner_.fail(
          ErrorCode::kUnsupported,
          "bounds on the length cannot be combined with this expression, write them into it; read up to");
    }
    const Length others = whole.min - varying->min;
    const Length min = std::max(varying->min, wanted_min > others ? wanted_min - others : 0);
    const Length max = std::min(varying->max, wanted_max == kEndless ? kEndless : wanted_max - others);
    if (min > max) return grammar_.nothing();
    varying->node = grammar_.repeat(*varying->character, static_cast<uint32_t>(min),
                                    max == kEndless ? kUnlimited : static_cast<uint32_t>(max));
    return joined(pieces).node;
  }

  Grammar& grammar_;
  RegexScanner scanner_;
  RegexOptions options_;
  const CharacterSpelling& spell_;
  std::vector<Group> groups_;  // the open ones, the whole expression first
};

}  // namespace

NodeId parse_regex(Grammar& grammar, std::string_view pattern, const RegexOptions& options,
                   const CharacterSpelling& spell) {
  return RegexParser(grammar, pattern, options, spell).parse();
}

void parse_regex_output(Grammar& grammar, std::string_view pattern) {
  grammar.budget().add_text(pattern.size());
  grammar.set_root(parse_regex(grammar, pattern, {}, [&](const CharSet& set) { return grammar.set(set); }));
}

}  // namespace beryl::text::grammar
