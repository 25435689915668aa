// How fast this machine reads memory: what bounds the speed of decoding, where every weight is read once a
// token.
#pragma once

#include <chrono>

namespace beryl {

// Bytes a second that `threads` >= 1 threads read together, measured for `duration` over a buffer several
// times as large as the caches. Filling the buffer takes some time before that. 0 when there is no memory for
// the buffer.
double measure_read_bandwidth(int threads, std::chrono::duration<double> duration);

}  // namespace beryl
