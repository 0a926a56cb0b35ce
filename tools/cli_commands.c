/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_commands.h"

#include "cmd_explain.h"
#include "dimtools/cmd_dim_build.h"
#include "dimtools/cmd_dim_inspect.h"
#include "dlq/cmd_dlq.h"
#include "gen/cmd_gen.h"
#include "send/cmd_send.h"

#include <stddef.h>

#define DAEMON "The daemon"
#define DIMENSIONS "Dimensions"
#define SENDERS "Senders"
#define EVENTS "Events"
#define OFFLINE "Without a daemon"

const struct command commands[] = {
    {"status", DAEMON, "the ledger of every stream, dimensions, sinks and alarms", cmd_status, false},
    {"top", DAEMON, "live rates per stream, worker and stage", cmd_top, false},
    {"stats", DAEMON, "every counter and gauge", cmd_stats, false},
    {"dump", DAEMON, "write or read a telemetry dump", cmd_dump, false},
    {"drain", DAEMON, "finish what is in flight and stop", cmd_drain, false},
    {"dim build", DIMENSIONS, "make a snapshot from CSV or JSON", cmd_dim_build, false},
    {"dim inspect", DIMENSIONS, "what a snapshot holds", cmd_dim_inspect, false},
    {"dim push", DIMENSIONS, "load and publish a snapshot", cmd_dim_push, false},
    {"dim list", DIMENSIONS, "the loaded snapshots", cmd_dim_list, false},
    {"dim rollback", DIMENSIONS, "publish the snapshot before the current one", cmd_dim_rollback, false},
    {"source ls", SENDERS, "the senders that are listed", cmd_source_ls, false},
    {"source add", SENDERS, "list a sender, or give it another key or rate", cmd_source_add, false},
    {"source revoke", SENDERS, "shut a sender out", cmd_source_revoke, false},
    {"send", EVENTS, "send events as plain datagrams", cmd_send, false},
    {"gen events", EVENTS, "generate events", cmd_gen, true},
    {"gen dimension", EVENTS, "generate the rows of a dimension", cmd_gen, true},
    {"dlq ls", EVENTS, "how many dead letters there are, by reason", cmd_dlq, true},
    {"dlq show", EVENTS, "dead letters with their headers and bytes", cmd_dlq, true},
    {"dlq replay", EVENTS, "send dead letters again", cmd_dlq, true},
    {"explain", OFFLINE, "what each stage makes of one event", cmd_explain, false},
    {"check", OFFLINE, "check a configuration", cmd_check, false},
    {"version", OFFLINE, "the version of this program", cmd_version, false},
    {NULL, NULL, NULL, NULL, false},
};
