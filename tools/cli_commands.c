/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_commands.h"

#include "gen/cmd_gen.h"
#include "send/cmd_send.h"

#define DAEMON "The daemon"
#define DIMENSIONS "Dimensions"
#define EVENTS "Events"
#define OFFLINE "Without a daemon"

const struct command commands[] = {
    {"status", DAEMON, "the ledger of every stream, dimensions, sinks and alarms", cmd_status},
    {"top", DAEMON, "live rates per stream, worker and stage", cmd_top},
    {"stats", DAEMON, "every counter and gauge", cmd_stats},
    {"dump", DAEMON, "write or read a telemetry dump", cmd_dump},
    {"drain", DAEMON, "finish what is in flight and stop", cmd_drain},
    {"dim push", DIMENSIONS, "load and publish a snapshot", cmd_dim_push},
    {"dim list", DIMENSIONS, "the loaded snapshots", cmd_dim_list},
    {"dim rollback", DIMENSIONS, "publish the snapshot before the current one", cmd_dim_rollback},
    {"send", EVENTS, "send events as plain datagrams", cmd_send},
    {"gen", EVENTS, "generate events and dimensions", cmd_gen},
    {"check", OFFLINE, "check a configuration", cmd_check},
    {"version", OFFLINE, "the version of this program", cmd_version},
    {NULL, NULL, NULL, NULL},
};
