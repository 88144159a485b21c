#include "actors/pure/papers.hpp"

namespace banyan {
namespace {

papers_meeting refused(std::string why) {
  papers_meeting m;
  m.is = papers_meeting::outcome::refused;
  m.status = reply_status::conflict;
  m.why = std::move(why);
  return m;
}

} // namespace

papers_meeting meet(const app_record& here, const app_record& brought) {
  papers_meeting m;
  m.merged = here.papers;
  if (brought.number > here.number)
    m.merged.version = brought.papers.version;
  const auto& deletion = brought.papers.deletion;
  if (deletion
      && (!m.merged.deletion || deletion->version > m.merged.deletion->version))
    m.merged.deletion = deletion;
  if (!(m.merged.version == here.papers.version)
      || !(m.merged.deletion == here.papers.deletion)) {
    m.is = papers_meeting::outcome::newer;
    return m;
  }
  if (brought.number == here.number
      && !(brought.papers.version == here.papers.version))
    return refused("version " + std::to_string(brought.number)
                   + " exists with other contents: sign a higher one");
  if (!brought.deleted && here.deleted)
    return refused("the app was removed; `banyan undelete " + here.genesis.name
                   + "` takes that back");
  if (brought.number < here.number && !brought.deleted)
    return refused("version " + std::to_string(here.number) + " is there, "
                   + std::to_string(brought.number)
                   + " is lower: sign a number above "
                   + std::to_string(here.number));
  return m;
}

} // namespace banyan
