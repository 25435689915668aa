// Grammars of sets of given texts: one of them, or anything but one of them.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

// How one character of a set is spelt.
using CharacterSpelling = std::function<NodeId(const CharSet&)>;

// Exactly one of `texts`, which may repeat themselves. Common beginnings are there once, so the output is at
// one place only, however many texts there are.
NodeId one_of_texts(Grammar& grammar, std::span<const std::string> texts);

// A text of the characters `all` as `spell` spells them, in valid UTF-8 before that, other than those in
// `names`. Empty only if `may_be_empty`.
struct NamesExcept {
  std::span<const std::string> names;
  CharSet first;  // what it may begin with
  CharSet rest;   // what follows
  uint32_t length_max = kUnlimited;
  bool may_be_empty = true;
};
NodeId any_name_except(Grammar& grammar, const NamesExcept& wanted, const CharacterSpelling& spell);

}  // namespace beryl::text::grammar
