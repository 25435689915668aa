// How values are written: as JSON, or as Gemma 4 writes the arguments of tool calls.
//
//   {"city": "Paris", "days": [1, 2]}        {city:<|"|>Paris<|"|>,days:[1,2]}
#pragma once

#include <optional>
#include <string_view>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

enum class Notation : uint8_t { kJson, kToolArguments };

// Makes the nodes that both notations spell differently. `grammar` outlives it.
class Spelling {
 public:
  Spelling(Grammar& grammar, Notation notation) : grammar_(grammar), notation_(notation) {}

  Notation notation() const { return notation_; }

  // One character of `characters` inside of a string. In JSON each character has one spelling here: as it is,
  // or, if that may not be, the shortest escape.
  NodeId one_of(const CharSet& characters);
  // Any character inside of a string, in JSON with all escapes except those of surrogates.
  NodeId any_character();
  // A string with this content, in its quotes.
  NodeId quoted(NodeId content);
  // Any string.
  NodeId any_string();
  // Exactly this string, of valid UTF-8.
  NodeId text(std::string_view text);
  // A key with its colon.
  NodeId key(std::string_view name);
  // A key with this content and its colon. With tool arguments the content has no characters that end a key.
  NodeId key_of(NodeId content);
  // What an unknown key may begin with, and continue with.
  CharSet key_first() const;
  CharSet key_rest() const;

  // In JSON a space or a newline with a bounded indentation, so that no model can write blanks for ever.
  NodeId gap();
  NodeId colon();
  NodeId comma();

 private:
  NodeId escape();

  Grammar& grammar_;
  Notation notation_;
  std::optional<NodeId> gap_;
  std::optional<NodeId> escape_;
  std::optional<NodeId> any_character_;
};

}  // namespace beryl::text::grammar
