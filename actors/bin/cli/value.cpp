#include "actors/bin/cli/value.hpp"

#include <array>
#include <cstdio>

namespace banyan::cli {

namespace {
constexpr std::size_t items_max = 1'000'000;
} // namespace

bool value::decode(const_bytes in, value& out) {
  reader form{in};
  form.skip(); // refuses what is nested too deeply
  reader r{in};
  out = value{};
  return form.done() && out.read(r) && r.done();
}

bool value::read(reader& r) {
  using kind = reader::kind;
  kind_ = r.peek();
  switch (kind_) {
  case kind::nil:
    r.nil();
    break;
  case kind::boolean:
    boolean_ = r.boolean();
    break;
  case kind::uint:
    uint_ = r.uint();
    break;
  case kind::sint:
    sint_ = r.sint();
    break;
  case kind::number:
    number_ = r.number();
    break;
  case kind::text:
    text_ = r.text(r.left());
    break;
  case kind::blob:
    text_ = to_text(r.blob(r.left()));
    break;
  case kind::array:
    items_.resize(r.array(items_max));
    for (auto& i : items_)
      if (!i.read(r))
        return false;
    break;
  case kind::map:
    items_.resize(r.map(items_max));
    for (auto& i : items_) {
      names_.emplace_back(r.text(r.left()));
      if (!r.ok() || !i.read(r))
        return false;
    }
    break;
  case kind::bad:
    r.fail();
    break;
  }
  return r.ok();
}

const value& value::operator[](std::string_view name) const {
  static const value none;
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (names_[i] == name)
      return items_[i];
  return none;
}

std::uint64_t value::uint() const {
  return kind_ == reader::kind::uint ? uint_ : 0;
}

double value::number() const {
  switch (kind_) {
  case reader::kind::uint:
    return static_cast<double>(uint_);
  case reader::kind::sint:
    return static_cast<double>(sint_);
  default:
    return number_;
  }
}

std::string number_text(double v) {
  std::array<char, 352> text{}; // the largest double has 309 digits
  std::snprintf(text.data(), text.size(), "%.3f", v);
  std::string out{text.data()};
  if (out.find('.') != std::string::npos) {
    while (out.back() == '0')
      out.pop_back();
    if (out.back() == '.')
      out.pop_back();
  }
  return out;
}

std::string value::shown() const {
  switch (kind_) {
  case reader::kind::boolean:
    return boolean_ ? "true" : "false";
  case reader::kind::uint:
    return std::to_string(uint_);
  case reader::kind::sint:
    return std::to_string(sint_);
  case reader::kind::number:
    return number_text(number_);
  case reader::kind::text:
    return text_;
  default:
    return {};
  }
}

} // namespace banyan::cli
