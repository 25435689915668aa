#include "text/grammar/text_sets.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

// A tree of texts by their symbols. What hangs below a node has a larger index, so work from the last to the
// first sees children before their parents.
struct TreeNode {
  std::map<char32_t, size_t> children;
  bool ends = false;  // a text ends here
};

class TextTree {
 public:
  explicit TextTree(Budget& budget) : budget_(budget), nodes_(1) {}

  void add_bytes(std::string_view text) {
    size_t node = 0;
    for (const char c : text) node = child(node, static_cast<unsigned char>(c));
    nodes_[node].ends = true;
  }
  void add_characters(std::string_view text) {
    size_t node = 0;
    for (size_t at = 0; at < text.size();) {
      const Utf8Character character = read_utf8(text, at);
      node = child(node, character.value);
      at += character.byte_count;
    }
    nodes_[node].ends = true;
  }
  const std::vector<TreeNode>& nodes() const { return nodes_; }

 private:
  size_t child(size_t node, char32_t symbol) {
    budget_.check_time();
    const auto [entry, is_new] = nodes_[node].children.try_emplace(symbol, nodes_.size());
    const size_t result = entry->second;
    if (is_new) nodes_.emplace_back();
    return result;
  }

  Budget& budget_;
  std::vector<TreeNode> nodes_;
};

// The rest of some texts: bytes that all begin with, last byte first, and what follows.
struct Rest {
  std::string reversed;
  NodeId node = 0;
};

NodeId joined(Grammar& grammar, const Rest& rest) {
  if (rest.reversed.empty()) return rest.node;
  const std::string bytes(rest.reversed.rbegin(), rest.reversed.rend());
  return grammar.sequence({grammar.literal(bytes), rest.node});
}

}  // namespace

NodeId one_of_texts(Grammar& grammar, std::span<const std::string> texts) {
  TextTree tree(grammar.budget());
  for (const std::string& text : texts) tree.add_bytes(text);
  std::vector<Rest> rests(tree.nodes().size());
  for (size_t i = rests.size(); i-- > 0;) {
    const TreeNode& node = tree.nodes()[i];
    if (node.children.size() == 1 && !node.ends) {
      const auto [symbol, child] = *node.children.begin();
      rests[i] = std::move(rests[child]);
      rests[i].reversed += static_cast<char>(symbol);
      continue;
    }
    std::vector<NodeId> parts;
    if (node.ends) parts.push_back(grammar.empty());
    for (const auto& [symbol, child] : node.children) {
      rests[child].reversed += static_cast<char>(symbol);
      parts.push_back(joined(grammar, rests[child]));
      rests[child] = {};
    }
    rests[i].node = grammar.choice(parts);
  }
  return joined(grammar, rests[0]);
}

NodeId any_name_except(Grammar& grammar, const NamesExcept& wanted, const CharacterSpelling& spell) {
  TextTree tree(grammar.budget());
  for (const std::string& name : wanted.names) tree.add_characters(name);
  const NodeId rest_character = spell(wanted.rest);
  const NodeId any_rest = grammar.repeat(rest_character, 0, wanted.length_max);
  std::vector<NodeId> results(tree.nodes().size());
  for (size_t i = results.size(); i-- > 0;) {
    const TreeNode& node = tree.nodes()[i];
    const CharSet& all = i == 0 ? wanted.first : wanted.rest;
    CharSet taken;
    std::vector<NodeId> parts;
    if (!node.ends && (i != 0 || wanted.may_be_empty)) parts.push_back(grammar.empty());
    for (const auto& [symbol, child] : node.children) {
      if (!all.contains(symbol)) continue;
      const CharSet only{{symbol, symbol}};
      taken.add(only);
      parts.push_back(grammar.sequence({spell(only), results[child]}));
    }
    parts.push_back(grammar.sequence({spell(all.without(taken)), any_rest}));
    results[i] = grammar.choice(parts);
  }
  return results[0];
}

}  // namespace beryl::text::grammar
