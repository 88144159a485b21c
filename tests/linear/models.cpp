#include "linear/models.hpp"

#include <functional>
#include <tuple>

namespace banyan::linear {
namespace {

std::string quoted(const std::optional<std::string>& s) {
  return s ? '"' + *s + '"' : "nothing";
}

auto members(const kv_operation& o) {
  return std::tie(o.what, o.key, o.value, o.expected, o.read, o.swapped);
}
auto members(const counter_operation& o) {
  return std::tie(o.what, o.key, o.amount, o.value);
}
auto members(const list_operation& o) {
  return std::tie(o.what, o.key, o.element, o.list);
}

} // namespace

bool operator==(const kv_operation& a, const kv_operation& b) {
  return members(a) == members(b);
}
bool operator==(const counter_operation& a, const counter_operation& b) {
  return members(a) == members(b);
}
bool operator==(const list_operation& a, const list_operation& b) {
  return members(a) == members(b);
}

std::size_t kv_model::hash(const state& s) {
  return std::hash<state>{}(s);
}

bool kv_model::step(state& s, const operation& o, bool answered) {
  switch (o.what) {
  case kv_operation::kind::get:
    return !answered || s == o.read;
  case kv_operation::kind::put:
    s = o.value;
    return true;
  case kv_operation::kind::append:
    s = s.value_or("") + o.value;
    return true;
  case kv_operation::kind::erase:
    s.reset();
    return true;
  case kv_operation::kind::cas: {
    const bool swaps = s == o.expected;
    if (answered && swaps != o.swapped)
      return false;
    if (swaps)
      s = o.value;
    return true;
  }
  }
  return false;
}

std::string kv_model::text(const operation& o) {
  const auto name = o.key + ": ";
  switch (o.what) {
  case kv_operation::kind::get:
    return name + "get -> " + quoted(o.read);
  case kv_operation::kind::put:
    return name + "put " + quoted(o.value);
  case kv_operation::kind::append:
    return name + "append " + quoted(o.value);
  case kv_operation::kind::erase:
    return name + "delete";
  case kv_operation::kind::cas:
    return name + "cas " + quoted(o.expected) + " to " + quoted(o.value)
           + (o.swapped ? " -> true" : " -> false");
  }
  return name;
}

std::string kv_model::text(const state& s) {
  return quoted(s);
}

std::size_t counter_model::hash(const state& s) {
  return std::hash<state>{}(s);
}

bool counter_model::step(state& s, const operation& o, bool answered) {
  if (o.what == counter_operation::kind::add)
    s += o.amount;
  return !answered || s == o.value;
}

std::string counter_model::text(const operation& o) {
  return o.key + ": "
         + (o.what == counter_operation::kind::add
                ? "add " + std::to_string(o.amount)
                : "get")
         + " -> " + std::to_string(o.value);
}

std::string counter_model::text(const state& s) {
  return std::to_string(s);
}

std::size_t list_model::hash(const state& s) {
  std::size_t h = s.size();
  for (const auto e : s)
    h = h * 1099511628211ULL ^ static_cast<std::size_t>(e);
  return h;
}

bool list_model::step(state& s, const operation& o, bool answered) {
  if (o.what == list_operation::kind::append)
    s.push_back(o.element);
  return !answered || !o.list || s == *o.list;
}

std::string list_model::text(const operation& o) {
  auto out = o.key + ": "
             + (o.what == list_operation::kind::append
                    ? "append " + std::to_string(o.element)
                    : "read");
  return o.list ? out + " -> " + text(*o.list) : out;
}

std::string list_model::text(const state& s) {
  std::string out = "[";
  for (const auto e : s)
    out += (out.size() > 1 ? " " : "") + std::to_string(e);
  return out + "]";
}

} // namespace banyan::linear
