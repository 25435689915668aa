// Figures that others keep, as metrics.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "engine/engine_options.h"
#include "server/http_server.h"

namespace beryl::server {

std::vector<prometheus::MetricFamily> collect_engine_metrics(const engine::EngineStats& stats,
                                                             const std::string& model_name);
std::vector<prometheus::MetricFamily> collect_http_metrics(const HttpFigures& figures);

}  // namespace beryl::server
