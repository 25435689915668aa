#include "formats/code_moves.h"

#include "formats/move_codes.h"

namespace beryl::formats {

const CodeMoves& portable_moves() {
  static constexpr CodeMoves kMoves = make_moves<1>();
  return kMoves;
}

}  // namespace beryl::formats
