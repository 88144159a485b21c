// `banyan sim`: thousands of nodes in virtual time, on this machine alone.
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/text.hpp"
#include "actors/docs/spec_file.hpp"
#include "actors/sim/course.hpp"
#include "actors/sim/stories.hpp"

#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace banyan::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// The second time it ends the program.
void on_interrupt(int signal) {
  interrupted = 1;
  std::signal(signal, SIG_DFL);
}

outcome wrong(const std::string& why) {
  return failure{problem{exit_code::usage, why}};
}

result<std::string, problem> read_file(const std::string& name) {
  std::ifstream in{name, std::ios::binary};
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return failure{
        problem{exit_code::usage,
                name + ": cannot be read; does it exist, and is it yours?"}};
  return text.str();
}

result<sim::scenario, problem> scenario_of(const sim_options& o) {
  const auto usage = [](const std::string& why) {
    return failure{problem{exit_code::usage, why}};
  };
  sim::scenario s;
  if (!o.scenario.empty()) {
    const auto text = read_file(o.scenario);
    if (!text)
      return failure{text.error()};
    auto parsed = sim::parse_scenario(*text, o.scenario);
    if (!parsed)
      return usage(parsed.error().message);
    s = std::move(*parsed);
  }
  if (o.nodes)
    s.nodes = *o.nodes;
  if (o.regions) {
    s.regions = *o.regions;
    s.names.clear();
  }
  if (o.seed)
    s.seed = *o.seed;
  if (o.groups)
    s.groups = *o.groups;
  if (o.loss) {
    if (!(*o.loss >= 0 && *o.loss <= 99))
      return usage("--loss: must be 0 to 99, in percent");
    s.loss = *o.loss;
  }
  if (!o.latency.empty()) {
    s.latency = o.latency;
    s.round_trips.clear();
  }
  if (!o.length.empty() && !parse_duration(o.length, s.length))
    return usage("--length: must be a time, as in 90s or 5m");
  for (const auto& text : o.events) {
    auto event = sim::parse_event(text);
    if (!event)
      return usage("--at " + event.error().message);
    s.events.push_back(std::move(*event));
  }
  // Regions and nodes must be right before events can speak of them.
  if (auto right = sim::check(s); !right)
    return usage(right.error().message);
  if (s.events.empty() && o.scenario.empty() && !o.calm) {
    sim::add_standard_events(s);
    if (auto right = sim::check(s); !right)
      return usage(right.error().message);
  }
  return s;
}

/// One line on standard error, over and over; of many lines where that is no
/// terminal, ten in all.
class progress_line {
public:
  explicit progress_line(bool terminal) : terminal_{terminal} {}
  void show(duration at, duration length, std::uint64_t events,
            std::size_t running) {
    const auto now = std::chrono::steady_clock::now();
    const auto share =
        length > 0s ? double(at.count()) / double(length.count()) : 1.0;
    if (terminal_ ? now < next_ : share < next_share_)
      return;
    next_ = now + 200ms;
    next_share_ += 0.1;
    const auto took = std::chrono::duration<double>(now - begun_).count();
    const auto left = share > 0 ? took / share - took : 0;
    char text[160];
    std::snprintf(text, sizeof text,
                  "%6.1f of %.0f s  %zu nodes run  %.2f M events/s  %s left",
                  to_ms(at) / 1000, to_ms(length) / 1000, running,
                  took > 0 ? double(events) / took / 1e6 : 0.0,
                  clock(left).c_str());
    std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", text);
    std::fflush(stderr);
    shown_ = true;
  }
  ~progress_line() {
    if (terminal_ && shown_)
      std::fputs("\r\033[K", stderr);
  }
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

private:
  static std::string clock(double seconds) {
    const auto s = static_cast<long>(seconds + 0.5);
    char text[24];
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
    return text;
  }
  bool terminal_;
  bool shown_ = false;
  double next_share_ = 0;
  std::chrono::steady_clock::time_point begun_ =
      std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = begun_;
};

/// What the run took of this machine; with the progress, since the result is
/// the same on every machine.
void tell_cost() {
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) != 0)
    return;
  char text[96];
  std::snprintf(text, sizeof text, "peak memory %.2f GiB, %.0f s of processor",
                double(used.ru_maxrss) / (1024.0 * 1024.0),
                double(used.ru_utime.tv_sec + used.ru_stime.tv_sec));
  note(text);
}

outcome play_story(const session& s, const sim_options& o) {
  for (const auto& story : sim::stories()) {
    if (o.story != story.name)
      continue;
    const auto done = story.play({o.seed, o.nodes, o.days, s.json},
                                 [](const std::string& line) {
                                   note(line);
                                   return interrupted == 0;
                                 });
    print(done.text);
    if (!o.csv.empty()) {
      std::ofstream csv{o.csv, std::ios::trunc};
      if (!(csv << done.csv << std::flush))
        return failure{
            problem{exit_code::failed, o.csv + ": can't be written"}};
    }
    if (!done.held)
      return failure{problem{exit_code::failed,
                             "the story did not hold what it promises"}};
    return {};
  }
  std::string all;
  for (const auto& story : sim::stories())
    all += (all.empty() ? "" : ", ") + std::string{story.name};
  return wrong("--story: there is no '" + printable(o.story) + "'; there is "
               + (all.empty() ? "none" : all));
}

} // namespace

outcome simulate(const session& session, const sim_options& o) {
  interrupted = 0;
  std::signal(SIGINT, on_interrupt);
  if (!o.story.empty())
    return play_story(session, o);
  auto what = scenario_of(o);
  if (!what)
    return failure{what.error()};
  std::ofstream csv;
  if (!o.csv.empty()) {
    csv.open(o.csv, std::ios::trunc);
    if (!(csv << sim::csv_head() << std::flush))
      return wrong("--csv: " + o.csv + " can't be written");
  }
  progress_line progress{o.terminal};
  if (what->nodes >= 2'000)
    note("starting " + counted(what->nodes, "node") + " ...");
  sim::course course{std::move(*what)};
  bool goes_on = true;
  while (goes_on && interrupted == 0) {
    goes_on = course.step();
    for (const auto& row : course.take_rows())
      if (csv.is_open())
        csv << sim::csv_line(row) << std::flush;
    progress.show(course.at(), course.length(), course.mesh().events(),
                  course.mesh().views().observers());
  }
  tell_cost();
  const auto figures = course.figures();
  print(session.json ? sim::json_of(figures) : sim::table_of(figures));
  if (csv.is_open() && !csv)
    return failure{problem{exit_code::failed, o.csv + ": can't be written"}};
  if (interrupted != 0)
    return failure{problem{exit_code::failed,
                           "stopped after " + std::to_string(course.at() / 1s)
                               + " s of virtual time"}};
  if (o.strict)
    for (const auto& f : figures)
      if (!f.met())
        return failure{problem{exit_code::failed, "missed: " + f.text}};
  return {};
}

} // namespace banyan::cli
