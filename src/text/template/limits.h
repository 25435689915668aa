// Bounds on what a chat template may do. Templates come with checkpoints and their variables from requests,
// so neither may be able to stop the process: every loop, string and nesting below ends in a clear Error.
#pragma once

#include <cstddef>
#include <cstdint>

namespace beryl::text {

// Of one render.
struct RenderLimits {
  // Evaluated expressions, statements, loop turns and items touched by filters. The published templates scan
  // the rest of the conversation once for every message: a million steps would do for 600 messages, while the
  // 4,096 that a request may hold take 43 million, well under a second.
  uint64_t steps_max = 60'000'000;
  // Four times the 8 MiB that a request body may have: a template may repeat its input a few times.
  uint64_t output_bytes_max = uint64_t{4} * 8 * 1024 * 1024;
  // All strings and containers made during the render, whether still in use or not (see arena.h). An honest
  // render makes each message's text about six times: macro results, captured blocks, joined strings.
  uint64_t memory_bytes_max = uint64_t{256} * 1024 * 1024;
};

// The published templates have 20 KiB.
inline constexpr size_t kTemplateBytesMax = size_t{1} * 1024 * 1024;

// Blocks within blocks in the source; the published templates reach 9.
inline constexpr int kBlockDepthMax = 64;

// Expressions within expressions, counting the terms of a chain such as a + b + c, and brackets.
inline constexpr int kExpressionDepthMax = 100;

// Macros that call macros. Tool schemas and arguments, nested up to kValueDepthMax, cost a call per level.
inline constexpr int kCallDepthMax = 80;

// Evaluations within evaluations, over all macro calls that are under way. This is what bounds the native
// stack: a level takes well under a kilobyte (a few with sanitizers).
inline constexpr int kEvaluationDepthMax = 1500;

// Lists and maps within each other. A request's JSON ends at 64; templates add a level or two.
inline constexpr int kValueDepthMax = 72;

// As the sandbox of the reference implementation.
inline constexpr int64_t kRangeItemsMax = 100'000;

// Digits after the point, width of padding, exponents: anything larger is no formatting wish.
inline constexpr int64_t kFormatWidthMax = 10'000;

}  // namespace beryl::text
