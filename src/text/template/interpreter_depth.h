// Counts the evaluations that are under way, so that the native stack cannot overflow. For interpreter*.cc.
#pragma once

#include <fmt/format.h>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/limits.h"

namespace beryl::text {

class Interpreter::DepthGuard {
 public:
  explicit DepthGuard(Interpreter& interpreter) : depth_(interpreter.depth_) {
    if (depth_ >= kEvaluationDepthMax) {
      throw Error(ErrorCode::kResource,
                  fmt::format("the template is nested deeper than {} while it runs", kEvaluationDepthMax));
    }
    ++depth_;
  }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int& depth_;
};

}  // namespace beryl::text
