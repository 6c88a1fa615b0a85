/* The senders' rows, one per file of this folder; receivers.c lists them. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_ROWS_H
#define TOCSIN_NOTIFY_RECEIVERS_ROWS_H

#include "notify/receiver.h"

extern const struct receiver_row webhook_row, email_row, pagerduty_row, opsgenie_row, wechat_row, slack_row,
    victorops_row, pushover_row, sns_row, telegram_row, discord_row, webex_row, msteams_row, msteamsv2_row, jira_row,
    incidentio_row, rocketchat_row, mattermost_row;

/* The fields that every row has the same way. */
#define RECEIVER_ROW(kind_, name_, resolved_)                                                      \
    .kind = (kind_), .name = #name_, .yaml_key = #name_ "_configs", .config = &name_##_config_bind,       \
    .send_resolved_default = (resolved_)

#endif
