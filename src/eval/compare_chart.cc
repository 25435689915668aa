#include "eval/compare_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace beryl::eval {
namespace {

constexpr double kWidth = 720;
constexpr double kPanelHeight = 320;
constexpr double kLeft = 80, kRight = 24, kTop = 56, kBottom = 56;
// Divergences below this are drawn as this.
constexpr double kFloor = 1e-9;

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
  }
  return safe;
}

using Points = std::vector<std::pair<double, double>>;

// A pair of axes with what is drawn between them. Coordinates given to it are shares of its width and height.
class Panel {
 public:
  explicit Panel(double top) : top_(top) {}

  void add_title(std::string_view text) {
    svg_ +=
        fmt::format("<text x=\"{}\" y=\"{}\" class=\"title\">{}</text>\n", kLeft, top_ + 28, escaped(text));
  }
  void add_labels(std::string_view x, std::string_view y) {
    svg_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                        (kLeft + kWidth - kRight) / 2, top_ + kPanelHeight - 14, escaped(x));
    svg_ += fmt::format("<text transform=\"translate(20 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                        top_ + (kTop + kPanelHeight - kBottom) / 2, escaped(y));
  }
  void add_x_tick(double at, std::string_view label) {
    svg_ +=
        fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>\n",
                    x(at), y(0), y(1));
    svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x(at),
                        y(0) + 18, label);
  }
  void add_y_tick(double at, std::string_view label) {
    svg_ +=
        fmt::format("<line x1=\"{1:.1f}\" x2=\"{2:.1f}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\" class=\"grid\"/>\n",
                    y(at), x(0), x(1));
    svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", x(0) - 8,
                        y(at) + 4, label);
  }
  void add_line(const Points& points, std::string_view style) {
    svg_ += fmt::format("<polyline class=\"{}\" points=\"", style);
    for (const auto& [at_x, at_y] : points) svg_ += fmt::format("{:.1f},{:.1f} ", x(at_x), y(at_y));
    svg_ += "\"/>\n";
  }
  void add_legend(double row, std::string_view style, std::string_view text) {
    const double at = top_ + kTop + 16 + 18 * row;
    svg_ += fmt::format("<polyline class=\"{0}\" points=\"{1},{2} {3},{2}\"/>\n", style, kLeft + 12, at,
                        kLeft + 36);
    svg_ += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", kLeft + 42, at + 4, escaped(text));
  }

  const std::string& svg() const { return svg_; }

 private:
  double x(double share) const { return kLeft + share * (kWidth - kLeft - kRight); }
  double y(double share) const {
    return top_ + kPanelHeight - kBottom - share * (kPanelHeight - kTop - kBottom);
  }

  double top_;
  std::string svg_;
};

std::string power_of_ten(int exponent) {
  return fmt::format("10<tspan dy=\"-5\" font-size=\"9\">{}</tspan>", exponent);
}

// Ascending divergences against the share of positions that have a larger one, both logarithmic.
Panel draw_divergence(const CompareResult& result, std::string_view title) {
  Panel panel(0);
  panel.add_title(title);
  panel.add_labels("share of positions with a larger divergence", "KL divergence, nats");
  std::vector<double> kl;
  std::transform(result.positions.begin(), result.positions.end(), std::back_inserter(kl),
                 [](const PositionDifference& position) { return std::max(position.kl, kFloor); });
  std::sort(kl.begin(), kl.end(), std::greater<>());
  const int low = static_cast<int>(std::floor(std::log10(kl.back())));
  const int high = std::max(low + 1, static_cast<int>(std::ceil(std::log10(kl.front()))));
  const double decades = std::max(1.0, std::ceil(std::log10(static_cast<double>(kl.size()))));
  for (int exponent = low; exponent <= high; ++exponent) {
    panel.add_y_tick(static_cast<double>(exponent - low) / (high - low), power_of_ten(exponent));
  }
  for (int exponent = 0; exponent <= static_cast<int>(decades); ++exponent) {
    panel.add_x_tick(1 - exponent / decades, exponent == 0 ? "1" : power_of_ten(-exponent));
  }
  Points points;
  for (size_t i = 0; i < kl.size(); ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(kl.size());
    points.emplace_back(1 + std::log10(share) / decades, (std::log10(kl[i]) - low) / (high - low));
  }
  panel.add_line(points, "first");
  return panel;
}

Panel draw_layers(const CompareResult& result) {
  Panel panel(kPanelHeight);
  panel.add_title("Layer by layer");
  panel.add_labels("layer", "share");
  double largest = 0;
  Points errors, choices;
  const double last = std::max<double>(1, static_cast<double>(result.layers.size()) - 1);
  for (size_t layer = 0; layer < result.layers.size(); ++layer) {
    const LayerDifference& difference = result.layers[layer];
    errors.emplace_back(static_cast<double>(layer) / last, difference.relative_error);
    if (difference.changed_choices) {
      choices.emplace_back(static_cast<double>(layer) / last, *difference.changed_choices);
    }
    largest = std::max({largest, difference.relative_error, difference.changed_choices.value_or(0)});
  }
  const double scale = largest > 0 ? largest : 1;
  for (int quarter = 0; quarter <= 4; ++quarter) {
    panel.add_y_tick(quarter / 4.0, fmt::format("{:.2g} %", scale * quarter * 25));
  }
  const size_t step = std::max<size_t>(1, result.layers.size() / 10);
  for (size_t layer = 0; layer < result.layers.size(); layer += step) {
    panel.add_x_tick(static_cast<double>(layer) / last, fmt::format("{}", layer));
  }
  for (Points* points : {&errors, &choices}) {
    for (auto& point : *points) point.second /= scale;
  }
  panel.add_line(errors, "first");
  panel.add_legend(0, "first", "relative error of the residual stream");
  if (!choices.empty()) {
    panel.add_line(choices, "second");
    panel.add_legend(1, "second", "changed choices of experts");
  }
  return panel;
}

}  // namespace

std::string draw_comparison(const CompareResult& result, const std::string& first,
                            const std::string& second) {
  const bool has_layers = !result.layers.empty();
  const double height = kPanelHeight * (has_layers ? 2 : 1);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\n"
      "<style>text {{ font: 12px sans-serif; fill: #333 }} .title {{ font-size: 15px; font-weight: bold }}\n"
      ".grid {{ stroke: #ddd }} polyline {{ fill: none; stroke-width: 2 }}\n"
      ".first {{ stroke: #1f6fb4 }} .second {{ stroke: #d9701a; stroke-dasharray: 6 3 }}</style>\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, height);
  svg += draw_divergence(result, fmt::format("{} against {}: mean KL {:.3g}, same first choice {:.2f} %",
                                             second, first, result.kl_mean, result.same_choice * 100))
             .svg();
  if (has_layers) svg += draw_layers(result).svg();
  return svg + "</svg>\n";
}

}  // namespace beryl::eval
