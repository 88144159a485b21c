#include "sim/table.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace banyan::sim {
namespace {

constexpr char between_fields = '\t';
constexpr char between_problems = '\x1f';

/// 1234567 as 1,234,567.
std::string with_commas(std::uint64_t n) {
  auto s = std::to_string(n);
  for (auto at = s.size(); at > 3;) {
    at -= 3;
    s.insert(at, ",");
  }
  return s;
}

std::string fixed(double v, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << v;
  return out.str();
}

using counts = std::map<std::string, std::uint64_t>;

std::uint64_t count_of(const counts& all, const std::string& name) {
  const auto at = all.find(name);
  return at == all.end() ? 0 : at->second;
}

std::uint64_t sum_of(const counts& all) {
  std::uint64_t n = 0;
  for (const auto& [name, count] : all)
    n += count;
  return n;
}

void put(std::ostream& out, const counts& all) {
  out << between_fields << all.size();
  for (const auto& [name, n] : all)
    out << between_fields << name << between_fields << n;
}

bool take(std::istream& in, counts& all) {
  std::size_t many = 0;
  in >> many;
  in.ignore(1);
  for (std::size_t i = 0; i < many && in; ++i) {
    std::string name;
    std::uint64_t n = 0;
    std::getline(in, name, between_fields);
    in >> n;
    in.ignore(1);
    all[name] = n;
  }
  return all.size() == many;
}

} // namespace

void table::add(const outcome& o) {
  ++seeds_;
  acknowledged_ += o.acknowledged;
  checked_ += o.checked;
  answers_ += o.answers;
  retries_ += o.retries;
  leaderships_ += o.leaderships;
  virtual_s_ += o.virtual_s;
  settled_sum_s_ += o.settled_s;
  settled_max_s_ = std::max(settled_max_s_, o.settled_s);
  late_results_ += o.late_results;
  for (const auto& [kind, n] : o.faults)
    faults_[kind] += n;
  for (const auto& [kind, n] : o.changing)
    changing_[kind] += n;
  if (!o.problems.empty())
    failed_.push_back(o.seed);
}

std::uint64_t table::faults() const {
  return sum_of(faults_);
}

void table::print(std::ostream& out) const {
  const auto row = [&](const std::string& what, const std::string& value) {
    out << "| " << std::left << std::setw(44) << what << " | " << std::right
        << std::setw(12) << value << " |\n";
  };
  row("what", "sum");
  out << "| " << std::string(44, '-') << " | " << std::string(11, '-')
      << ": |\n";
  row("seeds", with_commas(seeds_));
  row("failures", with_commas(failed_.size()));
  row("virtual hours", fixed(virtual_s_ / 3600, 1));
  row("operations acknowledged", with_commas(acknowledged_));
  row("answers checked against all disks", with_commas(answers_));
  row("operations checked for linearizability", with_commas(checked_));
  row("calls repeated", with_commas(retries_));
  row("leaderships", with_commas(leaderships_));
  row("longest time to settle after healing, s", fixed(settled_max_s_, 1));
  row("mean of the longest per seed, s",
      fixed(seeds_ == 0 ? 0 : settled_sum_s_ / static_cast<double>(seeds_), 1));
  row("results of hosts in another term", with_commas(late_results_));
  row("faults", with_commas(faults()));
  row("  while a group's voters change", with_commas(sum_of(changing_)));
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto* name = to_string(static_cast<fault_kind>(i));
    row(std::string{"  "} + name + " (while voters change)",
        with_commas(count_of(faults_, name)) + " ("
            + with_commas(count_of(changing_, name)) + ")");
  }
  if (failed_.empty())
    return;
  out << "\nfailed seeds:";
  for (const auto s : failed_)
    out << ' ' << s;
  out << "\nreplay one: " << replay_command(failed_.front()) << '\n';
}

std::vector<std::string> table::missing_in_ci() const {
  std::vector<std::string> missing;
  const auto demand = [&](const std::string& what, std::uint64_t is,
                          std::uint64_t least) {
    if (is < least)
      missing.push_back(what + ": " + with_commas(is) + ", at least "
                        + with_commas(least) + " are asked for");
  };
  demand("seeds", seeds_, 1000);
  demand("operations", acknowledged_, 1'000'000);
  demand("faults", faults(), 20'000);
  demand("virtual seconds", static_cast<std::uint64_t>(virtual_s_),
         60 * seeds_);
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto* name = to_string(static_cast<fault_kind>(i));
    demand(name, count_of(faults_, name), 50);
    demand(std::string{name} + " while voters change",
           count_of(changing_, name), 5);
  }
  demand("results of hosts in another term", late_results_, 50);
  return missing;
}

std::string replay_command(std::uint64_t seed,
                           const std::vector<std::size_t>* only) {
  auto out = "build/release/bin/sim_seeds --log --seed " + std::to_string(seed);
  if (only == nullptr)
    return out;
  out += " --only ";
  for (std::size_t i = 0; i < only->size(); ++i)
    out += (i == 0 ? "" : ",") + std::to_string((*only)[i]);
  return only->empty() ? out + "none" : out;
}

std::string to_line(const outcome& o) {
  std::ostringstream out;
  out << o.seed << between_fields << o.hash << between_fields << o.virtual_s
      << between_fields << o.steps << between_fields << o.acknowledged
      << between_fields << o.checked << between_fields << o.answers
      << between_fields << o.retries << between_fields << o.leaderships
      << between_fields << o.settled_s;
  out << between_fields << o.late_results;
  put(out, o.faults);
  put(out, o.changing);
  out << between_fields;
  for (auto p : o.problems) {
    std::replace(p.begin(), p.end(), '\n', ' ');
    std::replace(p.begin(), p.end(), between_fields, ' ');
    out << p << between_problems;
  }
  return out.str();
}

bool from_line(const std::string& line, outcome& o) {
  std::istringstream in{line};
  in >> o.seed >> o.hash >> o.virtual_s >> o.steps >> o.acknowledged
      >> o.checked >> o.answers >> o.retries >> o.leaderships >> o.settled_s
      >> o.late_results;
  const bool whole = take(in, o.faults) && take(in, o.changing);
  for (std::string p; std::getline(in, p, between_problems);)
    o.problems.push_back(p);
  return whole && line.find(between_fields) != line.npos;
}

} // namespace banyan::sim
