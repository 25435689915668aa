// How deep the expressions below a node are nested, for the parser's bound.
#pragma once

#include "text/template/ast.h"

namespace beryl::text {

// The largest Expression::depth among the direct parts of a node; 0 without parts.
int depth_below(const Literal& node);
int depth_below(const Variable& node);
int depth_below(const SequenceLiteral& node);
int depth_below(const MapLiteral& node);
int depth_below(const Unary& node);
int depth_below(const Binary& node);
int depth_below(const Concatenation& node);
int depth_below(const Comparison& node);
int depth_below(const Conditional& node);
int depth_below(const Attribute& node);
int depth_below(const Subscript& node);
int depth_below(const Slice& node);
int depth_below(const Call& node);
int depth_below(const Filter& node);
int depth_below(const Test& node);

}  // namespace beryl::text
