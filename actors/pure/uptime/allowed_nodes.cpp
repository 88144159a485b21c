#include "actors/pure/uptime/allowed_nodes.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t id_bytes = 32;

void sort_once(std::vector<node_id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

const std::vector<node_id>& nobody() {
  static const std::vector<node_id> none;
  return none;
}

} // namespace

allowed_nodes::allowed_nodes(std::vector<node_id> allowed,
                             std::vector<node_id> leaving) {
  sort_once(allowed);
  sort_once(leaving);
  std::vector<node_id> only;
  std::set_difference(leaving.begin(), leaving.end(), allowed.begin(),
                      allowed.end(), std::back_inserter(only));
  if (!allowed.empty() || !only.empty())
    of_ = std::make_shared<const lists>(
        lists{std::move(allowed), std::move(only)});
}

bool allowed_nodes::is_list() const noexcept {
  return of_ != nullptr;
}

bool allowed_nodes::allows(const node_id& node) const {
  return of_ == nullptr
         || std::binary_search(of_->allowed.begin(), of_->allowed.end(), node);
}

bool allowed_nodes::leaves(const node_id& node) const {
  return of_ != nullptr
         && std::binary_search(of_->leaving.begin(), of_->leaving.end(), node);
}

const std::vector<node_id>& allowed_nodes::allowed() const noexcept {
  return of_ == nullptr ? nobody() : of_->allowed;
}

const std::vector<node_id>& allowed_nodes::leaving() const noexcept {
  return of_ == nullptr ? nobody() : of_->leaving;
}

std::string allowed_nodes::why_invalid() const {
  if (allowed().size() > allowed_max)
    return "at most " + std::to_string(allowed_max)
           + " nodes can stand on the list of allowed ones";
  if (leaving().size() > leaving_max)
    return "at most " + std::to_string(leaving_max) + " nodes can be leaving";
  if (is_list() && allowed().empty())
    return "a list that allows nobody would leave no node for a new replica; "
           "allow some, or all";
  return {};
}

bytes packed_ids(const std::vector<node_id>& ids) {
  bytes out;
  out.reserve(ids.size() * id_bytes);
  for (const auto& n : ids)
    append(out, n.view());
  return out;
}

bool unpack_ids(const_bytes in, std::vector<node_id>& out) {
  if (in.size() % id_bytes != 0)
    return false;
  out.clear();
  out.reserve(in.size() / id_bytes);
  for (; !in.empty(); in = in.from(id_bytes)) {
    node_id n;
    if (!node_id::from(in.first(id_bytes), n)
        || (!out.empty() && !(out.back() < n)))
      return false;
    out.push_back(n);
  }
  return true;
}

bool read_ids(std::string_view text, std::vector<node_id>& out,
              std::string& why) {
  constexpr auto blank = " \t\r";
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    auto row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{}
                                         : text.substr(end + 1);
    row = row.substr(0, row.find('#'));
    const auto first = row.find_first_not_of(blank);
    if (first == std::string_view::npos)
      continue;
    row = row.substr(first, row.find_last_not_of(blank) - first + 1);
    node_id n;
    if (!parse_id(row, n)) {
      why = "line " + std::to_string(line)
            + " is no whole node id, as `banyan members` shows it";
      return false;
    }
    out.push_back(n);
  }
  return true;
}

} // namespace banyan
