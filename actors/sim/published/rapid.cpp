#include "actors/sim/published/rapid.hpp"

#include <algorithm>

namespace banyan::sim::published {
namespace {

constexpr auto warm_up = 10s;
constexpr unsigned flip_seconds = 20;
constexpr double lost = 0.8;

std::string title_of(const rapid_options& how) {
  return std::to_string(how.nodes) + " nodes, " + to_string(how.fault);
}

void begin(swarm& mesh, rapid_fault fault, index i) {
  switch (fault) {
  case rapid_fault::power:
    return mesh.unplug(i);
  case rapid_fault::kill:
    return mesh.kill(i);
  case rapid_fault::loss_out:
    return mesh.set_loss(i, lost, direction::out);
  case rapid_fault::loss_in:
    return mesh.set_loss(i, lost, direction::in);
  case rapid_fault::flip_in:
    return mesh.set_loss(i, 1, direction::in);
  case rapid_fault::flip_out:
    return mesh.set_loss(i, 1, direction::out);
  }
}

/// The flip-flops, at the end of each of their halves.
void go_on(swarm& mesh, rapid_fault fault, index i, unsigned second) {
  if (fault != rapid_fault::flip_in && fault != rapid_fault::flip_out)
    return;
  const bool cut = second / flip_seconds % 2 == 0;
  mesh.set_loss(i, cut ? 1 : 0,
                fault == rapid_fault::flip_in ? direction::in : direction::out);
}

std::string shown_end(const view_watch::figures& f) {
  if (!f.one_at_end)
    return "several";
  return f.out_at_end      ? "one, all out"
         : f.all_in_at_end ? "one, all in"
                           : "one";
}

void add_csv(std::string& csv, const rapid_run& run) {
  for (std::size_t s = 0; s < run.seconds.size(); ++s) {
    const auto& one = run.seconds[s];
    csv += std::string{"\""} + to_string(run.how.fault) + "\","
           + std::to_string(s + 1) + "," + std::to_string(one.smallest) + ","
           + std::to_string(one.largest) + "," + std::to_string(one.sizes) + ","
           + std::to_string(one.views) + "\n";
  }
}

table views_table(const std::vector<rapid_run>& runs) {
  table t;
  t.title = "Views of the healthy nodes";
  t.head = {"fault",      "first out s",  "all out s", "last move s",
            "sizes",      "views",        "apart s/s", "removals",
            "taken back", "healthy dead", "suspected", "at the end"};
  for (const auto& r : runs) {
    const auto& f = r.views;
    t.rows.push_back(
        {to_string(r.how.fault), shown_seconds(f.first_out),
         shown_seconds(f.all_out), shown_seconds(f.last_moved),
         std::to_string(f.sizes), std::to_string(f.views),
         std::to_string(f.looks_apart) + "/" + std::to_string(f.looks),
         std::to_string(f.removals), std::to_string(f.returns),
         std::to_string(f.false_deaths), std::to_string(f.doubts_by_healthy),
         shown_end(f)});
  }
  t.notes = {
      "One run each. Sizes and views: different ones in all looks, one look a "
      "second, suspected members counted in. Removals, taken back, healthy "
      "dead, suspected: opinions of one node of one other.",
      "Published (ATC 2018, section 7 and figures 8 to 10, in words): after "
      "10 crashes Rapid's processes see one change, all ten at once, \"roughly "
      "10 seconds later than Memberlist\", whose processes and ZooKeeper's "
      "\"record several different cluster sizes\".",
      "Published, one-way flip-flop (ingress): Rapid \"detects and removes "
      "the faulty processes\"; Memberlist \"never removes all the faulty "
      "processes\" and \"oscillates throughout\"; ZooKeeper \"does not "
      "react\".",
      "Published, 80 % of outgoing packets lost: Rapid \"identifies and "
      "removes only the faulty processes\"; for Memberlist it is "
      "\"insufficient ... to conclusively remove\" them, with view "
      "inconsistencies 310 s after the fault; ZooKeeper reacts after 110 s "
      "and removes not all. (The text says outgoing, the caption of figure 10 "
      "ingress: both are here.)"};
  return t;
}

table bytes_table(const std::vector<rapid_run>& runs) {
  table t;
  t.title =
      "KB/s of a process, mean / 99 % / most, each second of each process";
  t.head = {"system", "received", "sent"};
  t.rows = {
      {"ZooKeeper, published", "0.43 / 17.52 / 38.86", "0.01 / 0.33 / 0.67"},
      {"Memberlist, published", "0.54 / 5.61 / 7.36", "0.64 / 6.40 / 8.04"},
      {"Rapid, published", "0.71 / 3.66 / 9.56", "0.71 / 3.72 / 11.37"}};
  for (const auto& r : runs)
    t.rows.push_back({std::string{"Banyan, "} + to_string(r.how.fault),
                      shown_kb(r.in), shown_kb(r.out)});
  t.notes = {"Published: table 2, during the crash experiment, 1,000 "
             "processes. Banyan's are with encryption and signatures, without "
             "the headers of TCP and IP."};
  return t;
}

} // namespace

const char* to_string(rapid_fault f) noexcept {
  switch (f) {
  case rapid_fault::power:
    return "crash, power";
  case rapid_fault::kill:
    return "crash, kill -9";
  case rapid_fault::loss_out:
    return "80 % lost, out";
  case rapid_fault::loss_in:
    return "80 % lost, in";
  case rapid_fault::flip_in:
    return "flip-flop, in";
  case rapid_fault::flip_out:
    return "flip-flop, out";
  }
  return "";
}

rapid_run run_rapid(const rapid_options& how, const story_progress& progress) {
  rapid_run out;
  out.how = how;
  out.how.nodes = std::max(how.nodes, rapid_options::nodes_min);
  out.faulty = std::max<std::size_t>(1, out.how.nodes / 100);
  swarm_config cfg;
  cfg.seed = how.seed;
  swarm mesh{cfg};
  for (std::size_t i = 0; i < out.how.nodes; ++i)
    mesh.add(0);
  mesh.start_settled();
  mesh.run_for(warm_up);
  std::vector<index> faulty;
  for (std::size_t k = 0; k < out.faulty; ++k)
    faulty.push_back(static_cast<index>(
        (k * out.how.nodes / out.faulty + how.seed * 13) % out.how.nodes));
  view_watch views{mesh, faulty};
  traffic_watch bytes{mesh};
  for (const auto i : faulty)
    begin(mesh, how.fault, i);
  out.stopped = !run_seconds(mesh, how.seconds, title_of(out.how), progress,
                             [&](unsigned second) {
                               views.look();
                               bytes.look();
                               if (second % flip_seconds == 0)
                                 for (const auto i : faulty)
                                   go_on(mesh, how.fault, i, second);
                             });
  out.views = views.result();
  out.seconds = views.seconds();
  out.in = bytes.in();
  out.out = bytes.out();
  return out;
}

story_outcome play_rapid(const story_request& request,
                         const story_progress& progress) {
  struct part {
    rapid_fault fault;
    unsigned seconds;
  };
  constexpr part parts[] = {
      {rapid_fault::power, 60},     {rapid_fault::kill, 60},
      {rapid_fault::loss_out, 150}, {rapid_fault::loss_in, 150},
      {rapid_fault::flip_in, 120},  {rapid_fault::flip_out, 120}};
  static_assert(std::size(parts) == rapid_faults);
  std::vector<rapid_run> runs;
  story_outcome out;
  out.held = true;
  out.csv = "fault,second,size_least,size_most,sizes,views\n";
  for (const auto& p : parts) {
    rapid_options o;
    o.seed = request.seed.value_or(o.seed);
    o.nodes = request.nodes.value_or(o.nodes);
    o.fault = p.fault;
    o.seconds = p.seconds;
    runs.push_back(run_rapid(o, progress));
    const auto& r = runs.back();
    add_csv(out.csv, r);
    out.held = out.held && !r.stopped && r.views.false_by_healthy == 0;
    if (p.fault == rapid_fault::power || p.fault == rapid_fault::kill)
      out.held = out.held && r.views.out_at_end && r.views.one_at_end;
    if (r.stopped)
      break;
  }
  const std::vector<table> all{views_table(runs), bytes_table(runs)};
  out.text = request.json ? json_of(all) : text_of(all);
  return out;
}

} // namespace banyan::sim::published
