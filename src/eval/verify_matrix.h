// What one weight shows by itself: numbers that are not finite, scales that cannot be, parts that were never
// written.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "eval/verify.h"
#include "eval/verify_statistics.h"
#include "eval/verify_work.h"

namespace beryl::eval {

// A weight whose codes or scales the reader refuses.
Finding unreadable_finding(const RoleWeight& weight, const Error& error);

std::vector<Finding> check_matrix(const RoleWeight& weight, const MatrixStatistics& statistics);

// Norms and other vectors, read here. Errors: kIo.
std::vector<Finding> check_vector(const RoleWeight& weight);

}  // namespace beryl::eval
