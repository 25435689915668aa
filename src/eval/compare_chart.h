// A comparison as a picture.
#pragma once

#include <string>

#include "eval/compare_models.h"

namespace beryl::eval {

// An SVG document: how many positions have how large a divergence and, with layers, how the streams and the
// choices of experts drift apart from layer to layer. The names are the models'.
std::string draw_comparison(const CompareResult& result, const std::string& first, const std::string& second);

}  // namespace beryl::eval
