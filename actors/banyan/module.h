/* The boundary between the runtime and an app's module (a shared object): a
 * table of C functions over bytes. No C++ type, allocator or exception crosses
 * it, so a module built by another compiler or in another language runs.
 *
 * Everything below is frozen as table version 1. Byte formats are canonical
 * msgpack maps with small integer keys; unknown keys are skipped by both sides,
 * so fields can be added without a new version; functions are added behind
 * the last one, each with a bit in `extras`.
 *
 * `BANYAN_APP` of <banyan/app.hpp> makes all of this; by hand it is needed only
 * for modules in another language.
 */
#ifndef BANYAN_MODULE_H
#define BANYAN_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BANYAN_TABLE_VERSION 1u

/* The one symbol that a module exports: `banyan_module_v1`'s address. */
#define BANYAN_MODULE_SYMBOL "banyan_module"

/* How a handler may be called (bits of `banyan_handler_v1.flags`). */
#define BANYAN_HANDLER_QUERY 1u /* reads the state only: makes no entry */
#define BANYAN_HANDLER_REPLY 2u /* takes answers to its own actor's sends only */

typedef struct banyan_handler_v1 {
  const char* name; /* UTF-8, null-terminated, 1 to 255 bytes, no leading '_' */
  uint32_t flags;
} banyan_handler_v1;

/* Takes bytes out of the module. Copies them before it returns; the module
 * keeps owning them. Called at most once per call that takes a sink, on the
 * calling thread. */
typedef void (*banyan_sink_v1)(void* sink_context, const uint8_t* data,
                               size_t size);

/* Which functions there are behind `run` (bits of `banyan_app_v1.extras`). In a
 * module that was built before one of them the word is 0 or lacks its bit: it
 * is never asked for what it doesn't have. */
#define BANYAN_APP_SECRETS 1u /* `secrets` */

typedef struct banyan_app_v1 {
  uint32_t table_version;      /* BANYAN_TABLE_VERSION */
  uint32_t state_version;      /* the newest state this module writes, from 1 */
  const char* name;            /* the app's struct; equals the module's name */
  uint32_t handler_count;      /* at most 1,000 */
  uint32_t extras;             /* BANYAN_APP_... */
  const banyan_handler_v1* handlers;

  /* Makes an instance with the spec's [config] (a msgpack map, or no bytes for
   * none), borrowed for the call. Null: refused; the sink got a UTF-8 reason. */
  void* (*open)(const uint8_t* config, size_t config_size, banyan_sink_v1 sink,
                void* sink_context);
  void (*close)(void* instance);

  /* Runs one turn. `turn` is borrowed for the call. Gives the sink one result
   * and returns 0, or returns another number without a result (the turn then
   * counts as failed). One instance is called by one thread at a time.
   *
   * turn:   {1: handler text, 2: argument blob, 3: state blob (absent: none),
   *          4: actor key text, 5: now (ms since 1970), 6: random seed,
   *          7: origin (0 client, 1 send, 2 reply, 3 timer), 8: caller text,
   *          9: rows [[key blob, value blob or nil]...],
   *          10: ranges [[from blob, until blob, limit, complete bool,
   *                       [[key blob, value blob]...]]...],
   *          11: as a query bool}
   * result: {1: outcome (0 ok, 1 rejected, 2 invalid, 3 failed, 4 unknown
   *             command, 5 newer state, 6 needs rows),
   *          2: answer blob, 3: code text, 4: message text,
   *          5: new state blob (absent: unchanged),
   *          6: row writes [[key blob, value blob or nil]...],
   *          7: sends [[app text (empty: this app), key text, command text,
   *                     argument blob, on_reply text (empty: none)]...],
   *          8: timers set [[name text (empty: none), after ms, command text,
   *                          argument blob]...],
   *          9: timer names cancelled [text...], 10: removed bool,
   *          11: log lines [text...], 12: rows needed [key blob...],
   *          13: ranges needed [[from blob, until blob, limit]...]} */
  int32_t (*run)(void* instance, const uint8_t* turn, size_t turn_size,
                 banyan_sink_v1 sink, void* sink_context);

  /* With BANYAN_APP_SECRETS. Takes the values of the spec's secrets, a msgpack
   * map {name text: value blob}, borrowed for the call: once, behind `open` and
   * before the first turn, and only if the spec has any. */
  void (*secrets)(void* instance, const uint8_t* values, size_t size);
} banyan_app_v1;

/* What `banyan_module()` returns. A module may know several apps (it sends to
 * them); the runtime takes the one that is named like the module. */
typedef struct banyan_module_v1 {
  uint32_t table_version; /* always the first word, in every version */
  uint32_t app_count;
  const banyan_app_v1* const* apps;
} banyan_module_v1;

typedef const banyan_module_v1* (*banyan_module_function_v1)(void);

#ifdef __cplusplus
}
#endif
#endif
