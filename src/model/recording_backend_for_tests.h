// A backend that computes nothing and remembers what it was asked for.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"

namespace beryl::model {

// One operation. Fields that an operation lacks keep their defaults.
struct RecordedCall {
  std::string operation;
  std::string matrix;  // the module's name; of a linear's first output
  int64_t rows = 0;    // of the input
  int64_t width = 0;   // of the input
  float scale = 0;
  float epsilon = 0;
  int64_t cache_layer = -1;
  bool writes_cache = false;
  bool v_is_k = false;
  std::vector<int32_t> positions;  // of an attention's rows
};

class RecordedMatrix final : public backend::Matrix {
 public:
  RecordedMatrix(std::string matrix_name, int64_t rows, int64_t cols)
      : Matrix(rows, cols), name(std::move(matrix_name)) {}
  std::string name;
};

class RecordedVector final : public backend::Vector {
 public:
  explicit RecordedVector(std::span<const float> numbers) : values(numbers.begin(), numbers.end()) {}
  std::vector<float> values;
};

// Only the shape of a buffer is kept.
class ShapeBuffer final : public backend::Buffer {
 public:
  void resize(int64_t rows, int64_t width) {
    rows_ = rows;
    width_ = width;
  }
};

class RecordingBackend final : public backend::Backend {
 public:
  std::vector<RecordedCall> calls;

  std::vector<RecordedCall> calls_of(std::string_view operation) const {
    std::vector<RecordedCall> found;
    std::copy_if(calls.begin(), calls.end(), std::back_inserter(found),
                 [&](const RecordedCall& call) { return call.operation == operation; });
    return found;
  }

  uint64_t resident_bytes(const backend::MatrixSource&) const override { return 1; }
  uint64_t cache_bytes(const backend::CacheShape&) const override { return 0; }

  std::vector<std::unique_ptr<backend::Matrix>> upload(std::span<const backend::MatrixSource> sources,
                                                       Progress&) override {
    std::vector<std::unique_ptr<backend::Matrix>> matrices;
    for (const backend::MatrixSource& source : sources) {
      const int64_t rows = source.up ? 2 * source.matrix.rows : source.matrix.rows;
      matrices.push_back(std::make_unique<RecordedMatrix>(source.name, rows, source.matrix.cols));
    }
    return matrices;
  }
  std::unique_ptr<backend::Vector> upload_vector(std::span<const float> values) override {
    return std::make_unique<RecordedVector>(values);
  }
  std::unique_ptr<backend::Buffer> make_buffer() override { return std::make_unique<ShapeBuffer>(); }
  std::unique_ptr<backend::Routing> make_routing() override { return std::make_unique<backend::Routing>(); }
  std::unique_ptr<backend::Cache> make_cache(const backend::CacheShape&) override {
    return std::make_unique<backend::Cache>();
  }
  void copy_page(backend::Cache&, backend::LayerKind, int32_t, int32_t) override {}

  void embed(const backend::Matrix& table, std::span<const int32_t> tokens, float scale,
             backend::Buffer& out) override {
    shape(out).resize(static_cast<int64_t>(tokens.size()), table.cols());
    record({.operation = "embed", .matrix = name_of(table), .rows = out.rows(), .scale = scale});
  }
  void rms_norm(const backend::Buffer& in, const backend::Vector*, float epsilon,
                backend::Buffer& out) override {
    record({.operation = "rms_norm", .rows = in.rows(), .width = in.width(), .epsilon = epsilon});
    shape(out).resize(in.rows(), in.width());
  }
  void linear(const backend::Buffer& in, std::span<const backend::LinearOutput> outputs) override {
    record({.operation = "linear",
            .matrix = name_of(*outputs[0].matrix),
            .rows = in.rows(),
            .width = in.width()});
    for (const backend::LinearOutput& output : outputs) {
      shape(*output.out).resize(in.rows(), output.matrix->rows());
    }
  }
  void rotate_and_cache(const backend::AttentionLayer& layer, const backend::Rows& rows, backend::Buffer& q,
                        const backend::Buffer* k, const backend::Buffer* v, backend::Cache&) override {
    record({.operation = "rotate_and_cache",
            .rows = q.rows(),
            .cache_layer = layer.cache_layer,
            .writes_cache = k != nullptr,
            .v_is_k = k != nullptr && k == v,
            .positions = {rows.positions.begin(), rows.positions.end()}});
  }
  void attention(const backend::AttentionLayer& layer, const backend::Rows& rows, const backend::Buffer& q,
                 const backend::Cache&, backend::Buffer& out) override {
    shape(out).resize(q.rows(), layer.heads * layer.head_dim);
    record({.operation = "attention",
            .rows = q.rows(),
            .cache_layer = layer.cache_layer,
            .positions = {rows.positions.begin(), rows.positions.end()}});
  }
  void route(const backend::Router& router, const backend::Buffer& in, std::span<const int32_t>,
             backend::Routing&) override {
    record({.operation = "route", .matrix = name_of(*router.projection), .rows = in.rows()});
  }
  void feed_forward(const backend::FeedForward& arguments) override {
    const int64_t rows = arguments.dense_in->rows();
    shape(*arguments.dense_out).resize(rows, arguments.dense.down->rows());
    if (!arguments.experts.empty()) shape(*arguments.experts_out).resize(rows, arguments.dense.down->rows());
    record({.operation = "feed_forward", .matrix = name_of(*arguments.dense.down), .rows = rows});
  }
  void gelu_gate(backend::Buffer& gate, const backend::Buffer&, int64_t first_column) override {
    record({.operation = "gelu_gate",
            .rows = gate.rows(),
            .width = gate.width(),
            .scale = static_cast<float>(first_column)});
  }
  void add_scaled(backend::Buffer& a, const backend::Buffer&, float scale) override {
    record({.operation = "add_scaled", .rows = a.rows(), .width = a.width(), .scale = scale});
  }
  void add_normed(backend::Buffer& x, const backend::Buffer&, const backend::Vector*, float epsilon,
                  float scale) override {
    record({.operation = "add_normed", .rows = x.rows(), .scale = scale, .epsilon = epsilon});
  }
  void gather_rows(const backend::Buffer& in, std::span<const int32_t> rows, backend::Buffer& out) override {
    record({.operation = "gather_rows", .rows = in.rows()});
    shape(out).resize(static_cast<int64_t>(rows.size()), in.width());
  }
  void head(const backend::Buffer& in, const backend::Matrix& matrix, float soft_cap,
            std::span<float> logits) override {
    record({.operation = "head", .matrix = name_of(matrix), .rows = in.rows(), .scale = soft_cap});
    std::fill(logits.begin(), logits.end(), 0.0F);
  }
  std::vector<float> read(const backend::Buffer&) override { return {}; }
  std::vector<int32_t> read_experts(const backend::Routing&) override { return {}; }

 private:
  static ShapeBuffer& shape(backend::Buffer& buffer) { return static_cast<ShapeBuffer&>(buffer); }
  static std::string name_of(const backend::Matrix& matrix) {
    return static_cast<const RecordedMatrix&>(matrix).name;
  }
  void record(RecordedCall call) { calls.push_back(std::move(call)); }
};

}  // namespace beryl::model
