// backend: the arithmetic of the network, in whole-batch operations on opaque handles.
//
// In:  weights as formats::QuantMatrix, a ragged batch of rows, page tables that belong to the caller.
// Out: logits in host memory; everything between stays behind the handles.
// Must never know: checkpoints, tokenizers, requests. And model/ knows nothing of a backend but this header:
// no panel, thread or instruction set is visible here.
//
// Shapes: T rows (tokens) of the batch, D model width, H query heads, G key/value heads, E experts. Every
// activation is float32. Same bits: what an operation computes for one row does not depend on the other rows
// of the batch, nor on the number of threads or the page size.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "formats/quant_matrix.h"

namespace beryl::backend {

enum class Compute : uint8_t {
  // The input of every linear but the router's, q, the stored k and v, and the softmax weights are rounded to
  // bf16. Sums, norms, residual stream, router, rotary tables and logits are float32.
  kBf16,
  // Nothing is rounded and the cache holds float32: the reference mode.
  kF32,
};

// Sliding layers keep the last `window` positions, full layers all of them; each kind has its own page
// numbers.
enum class LayerKind : uint8_t { kSliding, kFull };

// ---- Handles. Each is owned by whoever asked for it and must not outlive its backend. ----

// A linear layer's weights, [rows, cols] = [outputs, inputs].
class Matrix {
 public:
  Matrix(int64_t rows, int64_t cols) : rows_(rows), cols_(cols) {}
  virtual ~Matrix() = default;
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }

 private:
  int64_t rows_;
  int64_t cols_;
};

// A small float32 vector: a norm's weights, rotary frequencies, scales of experts.
class Vector {
 public:
  virtual ~Vector() = default;
};

// Activations, [rows, width]. Operations set the shape of their outputs; memory only grows.
class Buffer {
 public:
  virtual ~Buffer() = default;
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  // The same numbers in rows of another width, which must divide the total.
  void reshape(int64_t width);

 protected:
  int64_t rows_ = 0;
  int64_t width_ = 0;
};

// Keys and values of all sequences, in pages.
class Cache {
 public:
  virtual ~Cache() = default;
};

// For each row of a batch, its experts in slot order and their weights.
class Routing {
 public:
  virtual ~Routing() = default;
};

// ---- Arguments ----

// One matrix to upload, or the gate and up halves of a gated MLP, which become one Matrix of 2F rows that
// only feed_forward() takes.
struct MatrixSource {
  std::string name;             // for errors and progress: the module as the checkpoint calls it
  formats::QuantMatrix matrix;  // when it is_made_up(), it is filled with random numbers instead of read
  std::optional<formats::QuantMatrix> up;  // when set, `matrix` is the gate
  std::string up_name = {};                // of the up half
  // Only embed() takes it, a few rows at a time: it may stay in its file, which must then outlive the
  // backend's use of it.
  bool is_table = false;
};

struct CacheLayer {
  LayerKind kind = LayerKind::kFull;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
};

struct CacheShape {
  std::vector<CacheLayer> layers;  // those that hold keys and values; indexed by AttentionLayer::cache_layer
  int64_t tokens_per_page = 0;
  int64_t sliding_pages = 0;
  int64_t full_pages = 0;
};

// The pages of one sequence: entry p of a table holds positions [p * tokens_per_page, (p + 1) *
// tokens_per_page). Entries of a sliding table that lie wholly before every window of the batch are not read
// and may be -1.
struct PageTables {
  std::span<const int32_t> sliding;
  std::span<const int32_t> full;
};

// Where each row of a batch stands. Borrowed for the duration of a call.
struct Rows {
  std::span<const int32_t> sequences;  // [T], index into tables
  std::span<const int32_t> positions;  // [T], absolute, from 0
  std::span<const PageTables> tables;
};

struct AttentionLayer {
  LayerKind kind = LayerKind::kFull;
  int64_t heads = 0;     // H, a multiple of kv_heads
  int64_t kv_heads = 0;  // G
  int64_t head_dim = 0;
  int64_t window = 0;       // keys visible to a row of a sliding layer, itself included
  int64_t cache_layer = 0;  // index into CacheShape::layers
  float norm_epsilon = 0;
  const Vector* q_norm = nullptr;    // [head_dim]
  const Vector* k_norm = nullptr;    // [head_dim]; null in a layer that only reads the cache
  const Vector* inv_freq = nullptr;  // [head_dim / 2] rotary frequencies, zero where a pair does not rotate
};

struct LinearOutput {
  const Matrix* matrix = nullptr;
  Buffer* out = nullptr;
};

struct Mlp {
  const Matrix* gate_up = nullptr;  // [2F, D], uploaded as a pair
  const Matrix* down = nullptr;     // [D, F]
};

struct Router {
  const Matrix* projection = nullptr;        // [E, D]
  const Vector* per_expert_scale = nullptr;  // [E]
  int64_t top_k = 0;
};

// The feed-forward part of one layer: a dense MLP and, in mixture-of-experts layers, the routed experts
// beside it, so that a backend can run both in one list of tasks.
struct FeedForward {
  Mlp dense;
  const Buffer* dense_in = nullptr;  // [T, D]
  Buffer* dense_out = nullptr;       // [T, D]
  std::span<const Mlp> experts;      // [E], empty in dense layers
  const Routing* routing = nullptr;
  const Buffer* experts_in = nullptr;  // [T, D]
  Buffer* experts_out = nullptr;       // [T, D], sum over slots of weight * expert(experts_in), in slot order
};

// ---- Operations ----

class Backend {
 public:
  virtual ~Backend() = default;

  // Memory that upload() will take, in bytes.
  virtual uint64_t resident_bytes(const MatrixSource& source) const = 0;
  // Memory that make_cache() will take, in bytes.
  virtual uint64_t cache_bytes(const CacheShape& shape) const = 0;

  // Reads all sources from their files into packed memory, one copy, in the order of the files. Progress
  // counts published bytes. Errors: kIo; kInvalidInput for a non-finite weight or a bad scale, naming the
  // module; kResource when memory runs out.
  virtual std::vector<std::unique_ptr<Matrix>> upload(std::span<const MatrixSource> sources,
                                                      Progress& progress) = 0;
  virtual std::unique_ptr<Vector> upload_vector(std::span<const float> values) = 0;

  virtual std::unique_ptr<Buffer> make_buffer() = 0;
  virtual std::unique_ptr<Routing> make_routing() = 0;
  // Errors: kResource.
  virtual std::unique_ptr<Cache> make_cache(const CacheShape& shape) = 0;

  // Makes page `to` hold what page `from` of the same kind holds, in all layers of the kind.
  virtual void copy_page(Cache& cache, LayerKind kind, int32_t from, int32_t to) = 0;

  // out[t] = table[tokens[t]] * scale. Errors, of a table that stayed in its file: kIo; kInvalidInput for a
  // bad scale. Infinities and NaNs in it are not looked for, and end in the rows that asked for them.
  virtual void embed(const Matrix& table, std::span<const int32_t> tokens, float scale, Buffer& out) = 0;
  // out[t] = in[t] / rms(in[t]) * weight, without weight where it is null. `out` may be `in`.
  virtual void rms_norm(const Buffer& in, const Vector* weight, float epsilon, Buffer& out) = 0;
  // outputs[i].out = in * outputs[i].matrix^T, all on one input.
  virtual void linear(const Buffer& in, std::span<const LinearOutput> outputs) = 0;

  // q[t, head] = rope(rms(q; q_norm)), in place. Unless the layer only reads the cache: the keys
  // rope(rms(k; k_norm)) and the values rms(v) go to the rows' pages. `v` may be `k` (before its norm).
  virtual void rotate_and_cache(const AttentionLayer& layer, const Rows& rows, Buffer& q, const Buffer* k,
                                const Buffer* v, Cache& cache) = 0;
  // Causal attention over the cached keys that a row may see; scores are not scaled. out [T, H * head_dim].
  virtual void attention(const AttentionLayer& layer, const Rows& rows, const Buffer& q, const Cache& cache,
                         Buffer& out) = 0;

  // The top_k experts of each row by softmax over float32 logits (ties to the lower index), their weights
  // renormalised and multiplied by per_expert_scale. `forced`, when not empty, is [T, top_k] and takes the
  // place of the choice; the weights are then those of the forced experts.
  virtual void route(const Router& router, const Buffer& in, std::span<const int32_t> forced,
                     Routing& out) = 0;
  virtual void feed_forward(const FeedForward& arguments) = 0;

  // gate[t, i] = gelu_tanh(gate[t, i]) * factors[t, first_column + i]
  virtual void gelu_gate(Buffer& gate, const Buffer& factors, int64_t first_column) = 0;
  // a = (a + b) * scale
  virtual void add_scaled(Buffer& a, const Buffer& b, float scale) = 0;
  // x = (x + rms(update; weight)) * scale
  virtual void add_normed(Buffer& x, const Buffer& update, const Vector* weight, float epsilon,
                          float scale) = 0;
  // out = the given rows of `in`, in that order.
  virtual void gather_rows(const Buffer& in, std::span<const int32_t> rows, Buffer& out) = 0;

  // logits [T, V] = soft_cap * tanh(in * matrix^T / soft_cap); no cap when soft_cap is 0.
  virtual void head(const Buffer& in, const Matrix& matrix, float soft_cap, std::span<float> logits) = 0;

  // Copies for inspection: a buffer's [rows, width] numbers, a routing's experts [T, top_k].
  virtual std::vector<float> read(const Buffer& buffer) = 0;
  virtual std::vector<int32_t> read_experts(const Routing& routing) = 0;
};

}  // namespace beryl::backend
