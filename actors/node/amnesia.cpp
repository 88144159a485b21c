#include "actors/node/amnesia.hpp"

#include "actors/node/names.hpp"
#include "base/codec.hpp"
#include "base/planted.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace banyan::actors {
namespace {

bytes number_bytes(std::uint64_t v) {
  bytes out;
  writer{out}.uint(v);
  return out;
}

std::optional<shared_bytes> the(const store::documents& d, document_kind k) {
  return d.find(static_cast<std::uint8_t>(k), const_bytes{});
}

std::uint64_t number_in(const store::documents& d, document_kind k) {
  const auto found = the(d, k);
  if (!found)
    return 0;
  reader r{found->view()};
  return r.uint();
}

bool moved(const store::documents& d, const directory_marks& m) {
  const auto known = number_in(d, document_kind::key_file);
  return known != 0 && m.key_inode != 0 && known != m.key_inode;
}

} // namespace

std::optional<std::string> forgetful(const store::documents& d,
                                     const directory_marks& m) {
  if (d.damaged())
    return "the documents' file was damaged, so that a vote's replica id or an "
           "app's newer document may be missing; the bad file is in DIR/aside";
  if (const auto kept = the(d, document_kind::given_up))
    return to_text(kept->view());
  if (moved(d, m) && !m.was_clean
      && !planted(planted_bug::copied_directory_votes_on))
    return "this directory is a copy of one whose peer was not stopped before: "
           "the original may have voted since";
  return std::nullopt;
}

std::vector<store::documents::change> give_up_changes(const store::documents& d,
                                                      const std::string& why,
                                                      incarnation at_least) {
  std::vector<store::documents::change> out;
  for (const auto kind : {document_kind::replica, document_kind::reservation})
    for (const auto& [name, content] : d.list(static_cast<std::uint8_t>(kind)))
      out.push_back(document(kind, name, std::nullopt));
  if (!why.empty())
    out.push_back(document(document_kind::given_up, {}, to_bytes(why)));
  if (read_incarnation(d) < at_least)
    out.push_back(document(document_kind::incarnation, {},
                           number_bytes(at_least.value())));
  return out;
}

result<std::optional<std::string>, store::store_error>
recollect(store::documents& d, const directory_marks& m) {
  auto why = forgetful(d, m);
  std::vector<store::documents::change> changes;
  if (why) {
    changes = give_up_changes(d, {}, {});
    if (the(d, document_kind::given_up))
      changes.push_back(document(document_kind::given_up, {}, std::nullopt));
  }
  if (m.key_inode != 0 && number_in(d, document_kind::key_file) != m.key_inode)
    changes.push_back(
        document(document_kind::key_file, {}, number_bytes(m.key_inode)));
  if (!changes.empty())
    if (const auto done = d.put_now(std::move(changes)); !done.ok())
      return failure{done.error()};
  if (d.damaged())
    if (const auto done = d.forget_damage(); !done.ok())
      return failure{done.error()};
  return why;
}

std::uint64_t inode_of(const std::string& file) {
  struct stat st {};
  return ::stat(file.c_str(), &st) == 0 ? static_cast<std::uint64_t>(st.st_ino)
                                        : 0;
}

incarnation read_incarnation(const store::documents& d) {
  return incarnation{number_in(d, document_kind::incarnation)};
}

} // namespace banyan::actors
