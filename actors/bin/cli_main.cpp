// banyan: the command line. Reads it, hands over to cli/, turns outcomes into
// exit codes.
#include "actors/bin/cli/commands.hpp"
#include "actors/docs/peer_config.hpp"
#include "crypto/system_random.hpp"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace banyan::cli {
namespace {

struct arguments {
  std::string data, http, token;
  bool json = false;
  std::string name, file, mesh_file;
  deploy_options deploy;
  remove_options remove;
  verify_options verify;
  restore_options restore;
  recover_options recover;
  undelete_options undelete;
  call_options call;
  query_options query;
  why_options why;
  events_options events;
  logs_options logs;
  get_options get;
  ls_options ls;
  move_options move;
  drain_options drain;
  sim_options sim;
  uptime_options uptime;
  policy_set_options policy;
};

/// What the command line asked for.
using action = std::function<outcome(const session&)>;

class command_line {
public:
  command_line() {
    app_.set_version_flag("--version", std::string{BANYAN_VERSION});
    app_.fallthrough(); // `banyan status --json` is as good as the other way
    app_.add_option("--data", a_.data,
                    "ask the peer with this data directory (the default: "
                    "/var/lib/banyan for root, else ~/.local/state/banyan)");
    app_.add_option("--http", a_.http, "ask the peer at this URL");
    app_.add_option("--token", a_.token,
                    "file with its admin token, for --http");
    app_.add_flag("--json", a_.json, "print what the API answers, as is");
    set_up();
    looks();
    apps();
    backups();
    calls();
    machines();
    simulations();
  }

  /// The code to exit with when nothing is to be done.
  std::optional<int> parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ExtrasError& e) {
      return usage(chosen() ? e.what()
                            : "there is no such command or flag: "
                                  + printable(first_extra()));
    } catch (const CLI::ParseError& e) {
      if (e.get_exit_code() == 0) // --help, --version
        return app_.exit(e);
      return usage(e.what());
    }
    if (!action_)
      return usage("a command is missing");
    return std::nullopt;
  }

  [[nodiscard]] const arguments& given() const { return a_; }
  [[nodiscard]] outcome run(const session& s) const { return action_(s); }

private:
  CLI::App* add(CLI::App& to, const char* name, const char* help, action f) {
    auto* c = to.add_subcommand(name, help);
    c->callback([this, f = std::move(f)] { action_ = f; });
    return c;
  }

  void set_up() {
    add(app_, "init", "make a mesh: NAME.mesh and NAME.owner, here",
        [this](const session& s) { return init(s, a_.name); })
        ->add_option("NAME", a_.name, "what the mesh is called")
        ->required();
    add(app_, "bench",
        "measure this machine: its tier in a mesh, and what keeps it from the "
        "next",
        [this](const session& s) { return bench(s, !a_.data.empty()); });
    auto* keygen = app_.add_subcommand("keygen", "make a key: node or client");
    keygen->require_subcommand(1);
    add(*keygen, "node", "a node's identity, in advance",
        [this](const session& s) { return keygen_node(s, a_.file); })
        ->add_option("FILE", a_.file, "the new file; node.key by default");
    add(*keygen, "client", "a key for programs that call apps",
        [this](const session& s) { return keygen_client(s, a_.mesh_file); })
        ->add_option("--mesh-file", a_.mesh_file,
                     "NAME.mesh; by default the only one here");
  }

  void looks() {
    add(app_, "status", "the peer and its mesh", status);
    add(app_, "nodes", "the members of the mesh", nodes);
    add(app_, "apps", "all apps, or the groups of one",
        [this](const session& s) { return cli::apps(s, a_.name); })
        ->add_option("NAME", a_.name, "one app");
    add(app_, "risk",
        "what an app would live through now: the loss of any "
        "node, machine, zone or region",
        [this](const session& s) { return risk(s, a_.name); })
        ->add_option("APP", a_.name, "its name")
        ->required();
    auto* w = add(app_, "why", "why an app's replicas are where they are",
                  [this](const session& s) { return why(s, a_.why); });
    w->add_option("APP", a_.why.app, "APP, or APP/SHARD as in ledger/3")
        ->required();
    w->add_option("-n", a_.why.runners_up, "show N runners-up (3)");
    add(app_, "failovers", "every change of leader, with its phases",
        failovers);
    auto* u =
        add(app_, "uptime", "how much the nodes were up, and their standing",
            [this](const session& s) { return uptime(s, a_.uptime); });
    u->add_option("NODE", a_.uptime.node, "one node's id, or its beginning");
    u->add_flag("--proof", a_.uptime.proof,
                "the signed documents, counted again");
    auto* policy = app_.add_subcommand(
        "policy", "what the mesh demands of its nodes: show or set");
    policy->require_subcommand(1);
    add(*policy, "show", "the policy, who signed it, and the defaults",
        policy_show);
    auto* ps =
        add(*policy, "set", "sign the next version of it",
            [this](const session& s) { return policy_set(s, a_.policy); });
    ps->add_option("SETTING", a_.policy.settings,
                   "NAME=VALUE, or a file of such lines");
    ps->add_option("--allow", a_.policy.allow,
                   "this node may be in the mesh; with one such, no others may")
        ->type_size(1)
        ->allow_extra_args(false);
    ps->add_option("--allow-file", a_.policy.allow_file,
                   "these may and no others: node ids, one a line");
    ps->add_flag("--allow-all", a_.policy.allow_all,
                 "whoever has the mesh file may");
    ps->add_option("--leaving", a_.policy.leaving,
                   "this member keeps what it has and takes nothing new")
        ->type_size(1)
        ->allow_extra_args(false);
    ps->add_option("--disallow", a_.policy.disallow,
                   "take this one off the list")
        ->type_size(1)
        ->allow_extra_args(false);
    ps->add_option("--owner", a_.policy.owner,
                   "NAME.owner to sign with; without it only in mesh `local`");
    auto* e = add(app_, "events", "what happened in the mesh",
                  [this](const session& s) { return events(s, a_.events); });
    e->add_flag("-f,--follow", a_.events.follow, "and what happens from now");
    e->add_option("--since", a_.events.since, "not older than this, as in 10m");
    e->add_option("-n", a_.events.most, "the last N of them (100)");
    auto* l = add(app_, "logs", "what an app printed and logged, on all nodes",
                  [this](const session& s) { return cli::logs(s, a_.logs); });
    l->add_option("APP", a_.logs.app, "its name")->required();
    l->add_flag("-f,--follow", a_.logs.follow, "and what it says from now on");
    l->add_option("--since", a_.logs.since, "not older than this, as in 10m");
    l->add_option("-n", a_.logs.most, "the last N lines");
    auto* g = add(app_, "get", "an actor's stored state",
                  [this](const session& s) { return cli::get(s, a_.get); });
    g->add_option("ACTOR", a_.get.address, "APP/KEY")->required();
    g->add_flag("-f,--follow", a_.get.follow, "and after each change from now");
    auto* k = add(app_, "ls", "the actors of an app",
                  [this](const session& s) { return cli::ls(s, a_.ls); });
    k->add_option("APP", a_.ls.app, "its name")->required();
    k->add_option("PREFIX", a_.ls.prefix, "of their keys");
    k->add_option("-n", a_.ls.most, "at most N of them");
    auto* v = add(
        app_, "verify",
        "read the peer's disk again now and mend it; with FILE: check a backup",
        [this](const session& s) {
          return a_.verify.file.empty() ? verify(s)
                                        : verify_backup(s, a_.verify);
        });
    v->add_option("FILE", a_.verify.file, "a backup; no peer is asked");
    v->add_option("--owner", a_.verify.owner,
                  "NAME.owner that it is sealed for");
    add(app_, "plan", "where a spec would go and what it would survive",
        [this](const session& s) { return plan(s, a_.file); })
        ->add_option("SPEC", a_.file, "an app's spec (TOML)")
        ->required();
  }

  void apps() {
    auto* d = add(app_, "deploy", "deploy or update an app",
                  [this](const session& s) { return deploy(s, a_.deploy); });
    d->add_option("SPEC", a_.deploy.spec, "the app's spec (TOML)")->required();
    d->add_option("--owner", a_.deploy.owner,
                  "NAME.owner to sign with; without it only in mesh `local`");
    d->add_option("--secret", a_.deploy.secrets,
                  "NAME=FILE: the value of a secret that the spec names; a "
                  "file of mode 0600. May be repeated; without any, those of "
                  "the version before are kept");
    d->add_option("--secrets", a_.deploy.secrets_file,
                  "a TOML file of mode 0600 with NAME = \"value\" lines");
    d->add_flag("--strict", a_.deploy.strict, "refuse when there are warnings");
    d->add_flag("--new-token", a_.deploy.new_token,
                "make another token for calls off loopback; the old one opens "
                "nothing any more");
    auto* r = add(app_, "remove", "remove an app",
                  [this](const session& s) { return remove(s, a_.remove); });
    r->add_option("APP", a_.remove.app, "its name")->required();
    r->add_option("--owner", a_.remove.owner, "NAME.owner to sign with");
    r->add_option("--id", a_.remove.id,
                  "which of two apps that bear the name (`banyan apps APP`)");
    r->add_flag("--yes", a_.remove.yes, "don't ask for the name again");
  }

  void backups() {
    add(app_, "backup", "write an app's backup to standard output",
        [this](const session& s) { return backup(s, a_.name); })
        ->add_option("APP", a_.name, "its name")
        ->required();
    auto* r = add(app_, "restore", "make an app of a backup",
                  [this](const session& s) { return restore(s, a_.restore); });
    r->add_option("FILE", a_.restore.file, "the backup")->required();
    r->add_option("--as", a_.restore.as, "another name than it had");
    r->add_option("--owner", a_.restore.owner,
                  "NAME.owner of this mesh; without it only in mesh `local`");
    r->add_option("--from-owner", a_.restore.from_owner,
                  "NAME.owner that it is sealed for, if that is another");
    auto* v = add(app_, "recover",
                  "go on from a survivor after a majority was lost for good",
                  [this](const session& s) { return recover(s, a_.recover); });
    v->add_option("APP", a_.recover.app, "its name")->required();
    v->add_flag("--accept-loss", a_.recover.accept_loss,
                "give up what only the lost voters had");
    v->add_option("--owner", a_.recover.owner, "NAME.owner to sign with");
    v->add_option("--shard", a_.recover.shard, "only this shard");
    v->add_flag("--yes", a_.recover.yes, "don't ask for the name again");
    auto* u =
        add(app_, "undelete", "take back the removal of an app",
            [this](const session& s) { return undelete(s, a_.undelete); });
    u->add_option("APP", a_.undelete.app, "its name")->required();
    u->add_option("--owner", a_.undelete.owner, "NAME.owner to sign with");
  }

  void calls() {
    auto* c = add(app_, "call", "send a command to an actor",
                  [this](const session& s) { return call(s, a_.call); });
    c->add_option("ACTOR", a_.call.address,
                  "APP/KEY, as in ledger/alice; of a stateless app: APP")
        ->required();
    c->add_option("COMMAND", a_.call.command, "as in deposit")->required();
    c->add_option("ARGUMENT", a_.call.argument, "JSON, as in '{\"cents\":5}'");
    c->add_option("--key", a_.call.key,
                  "repeat the call that printed this key");
    auto* q = add(app_, "query", "ask an actor",
                  [this](const session& s) { return query(s, a_.query); });
    q->add_option("ACTOR", a_.query.address, "APP/KEY")->required();
    q->add_option("QUERY", a_.query.query, "as in balance")->required();
    q->add_option("ARGUMENT", a_.query.argument, "JSON");
    q->add_option("--stale", a_.query.stale_ms,
                  "take an answer of a follower, at most this many ms old");
  }

  void machines() {
    for (const bool stop : {true, false})
      add(app_, stop ? "stop" : "start",
          stop ? "have an app rest; its data, timers and messages are kept"
               : "have a stopped app go on",
          [this, stop](const session& s) { return stop_app(s, a_.name, stop); })
          ->add_option("APP", a_.name, "its name")
          ->required();
    auto* m =
        add(app_, "move", "move a replica to another node",
            [this](const session& s) { return move_replica(s, a_.move); });
    m->add_option("GROUP", a_.move.group, "APP/SHARD, as in ledger/3")
        ->required();
    m->add_option("FROM", a_.move.from, "a node's id, or its beginning")
        ->required();
    m->add_option("TO", a_.move.to, "another's")->required();
    auto* d = add(app_, "drain", "hand over all that a node leads and holds",
                  [this](const session& s) { return drain_node(s, a_.drain); });
    d->add_option("NODE", a_.drain.node, "its id, or the beginning of it")
        ->required();
    d->add_flag("--force", a_.drain.force,
                "let groups go on with fewer voters where nobody else may take "
                "a replica");
    d->add_flag("--cancel", a_.drain.cancel, "take it back");
  }

  void simulations() {
    auto* c =
        add(app_, "sim",
            "thousands of nodes in virtual time, on this machine alone: "
            "what becomes of a mesh when nodes die, freeze or are cut off",
            [this](const session& s) {
              a_.sim.terminal = ::isatty(STDERR_FILENO) == 1;
              return simulate(s, a_.sim);
            });
    c->add_option("SCENARIO", a_.sim.scenario,
                  "a TOML file (docs/scale.md); without one and without --at "
                  "and --calm: single deaths, newcomers, churn, and the loss "
                  "of a region");
    c->add_option("--nodes", a_.sim.nodes, "how many, up to 20,000 (1,000)");
    c->add_option("--regions", a_.sim.regions, "in how many regions (12)");
    c->add_option("--latency", a_.sim.latency,
                  "`planet`, where regions are cities (default), or `lan`");
    c->add_option("--groups", a_.sim.groups,
                  "groups of three voters in two regions or more, placed as "
                  "peers place them (0)");
    c->add_option("--loss", a_.sim.loss, "of all packets, in percent (0)");
    c->add_option("--seed", a_.sim.seed,
                  "the same seed, the same course of events (1)");
    c->add_option("--length", a_.sim.length, "virtual time, as in 90s (60s)");
    c->add_option("--at", a_.sim.events,
                  "an event, as in '10s kill count=5', '20s churn percent=1 "
                  "for=60s' or '30s region_loss region=tokyo'; may be "
                  "repeated");
    c->add_flag("--calm", a_.sim.calm, "nothing happens");
    c->add_option("--csv", a_.sim.csv, "write a line per virtual second here");
    c->add_flag("--strict", a_.sim.strict, "fail when a goal is missed");
    c->add_option(
        "--story", a_.sim.story,
        "one with a plot of its own: uptime, swim, lifeguard or rapid");
    c->add_option("--days", a_.sim.days, "of the story `uptime` (30)")
        ->check(CLI::Range(1, 365));
  }

  [[nodiscard]] bool chosen() const { return !app_.get_subcommands().empty(); }

  [[nodiscard]] std::string first_extra() const {
    const auto left = app_.remaining();
    return left.empty() ? "" : "'" + left.front() + "'";
  }

  int usage(const std::string& why) {
    std::string text = "banyan: " + why + "\n";
    const auto chosen = app_.get_subcommands();
    if (chosen.empty()) {
      text += "commands:";
      for (const auto* c : app_.get_subcommands(nullptr))
        text += " " + c->get_name();
      text += "\nsee `banyan --help`";
    } else {
      text += "see `banyan " + chosen.front()->get_name() + " --help`";
    }
    note(text);
    return static_cast<int>(exit_code::usage);
  }

  CLI::App app_{"Banyan: apps that outlive their machines. This is the "
                "command line; `banyan-peer` is the daemon.",
                "banyan"};
  arguments a_;
  action action_;
};

std::filesystem::path default_data() {
  process_place place;
  place.root = ::geteuid() == 0;
  if (const char* home = std::getenv("HOME")) // NOLINT(concurrency-mt-unsafe):
    place.home = home;                        // there is only one thread
  return default_data_directory(place);
}

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN); // a peer that hangs up is an error, not an end
  command_line line;
  if (const auto code = line.parse(argc, argv))
    return *code;
  const auto& a = line.given();
  system_random random;
  const session s{
      {a.data.empty() ? default_data() : std::filesystem::path{a.data}, a.http,
       a.token},
      a.json,
      random};
  const auto done = line.run(s);
  if (done.ok())
    return static_cast<int>(exit_code::done);
  const auto& p = done.error();
  if (a.json && !p.json.empty())
    print(p.json);
  note("banyan: " + p.message);
  return static_cast<int>(p.code);
}

} // namespace
} // namespace banyan::cli

int main(int argc, char** argv) {
  try {
    return banyan::cli::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "banyan: %s\n", e.what());
    return static_cast<int>(banyan::cli::exit_code::failed);
  }
}
