// What jemalloc reads before main(); MALLOC_CONF of the environment overrides
// it (docs/adr/0030, 0046). A peer has one busy thread, and a few that sleep
// most of the time: in arenas of their own, what those have freed would stay
// resident until they allocate again. Builds with sanitizers link no jemalloc
// and have a name here that nobody reads.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:1";
}
