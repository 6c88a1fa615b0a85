/* The table of the kinds. */
#include "notify/receivers/rows.h"

const struct receiver_row *const receiver_rows[RECEIVER_KINDS] = {
    [RECEIVER_WEBHOOK] = &webhook_row,       [RECEIVER_EMAIL] = &email_row,
    [RECEIVER_PAGERDUTY] = &pagerduty_row,   [RECEIVER_OPSGENIE] = &opsgenie_row,
    [RECEIVER_WECHAT] = &wechat_row,         [RECEIVER_SLACK] = &slack_row,
    [RECEIVER_VICTOROPS] = &victorops_row,   [RECEIVER_PUSHOVER] = &pushover_row,
    [RECEIVER_SNS] = &sns_row,               [RECEIVER_TELEGRAM] = &telegram_row,
    [RECEIVER_DISCORD] = &discord_row,       [RECEIVER_WEBEX] = &webex_row,
    [RECEIVER_MSTEAMS] = &msteams_row,       [RECEIVER_MSTEAMSV2] = &msteamsv2_row,
    [RECEIVER_JIRA] = &jira_row,             [RECEIVER_INCIDENTIO] = &incidentio_row,
    [RECEIVER_ROCKETCHAT] = &rocketchat_row, [RECEIVER_MATTERMOST] = &mattermost_row,
};
